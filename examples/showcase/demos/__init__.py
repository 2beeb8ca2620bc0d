# SPDX-License-Identifier: MIT
"""The demos: each module has TITLE, run(stage), and NEEDS where it needs packages."""

from pathlib import Path

ADAPTERS = Path(__file__).resolve().parent.parent / "adapters"
EXAMPLE_ADAPTERS = ADAPTERS.parent.parent / "adapters"
LICENSES = "/usr/share/common-licenses"
