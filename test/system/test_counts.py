# SPDX-License-Identifier: MIT
"""What a call costs in instructions has not risen: the figure that a busy machine leaves
alone. `tools/counts --update` accepts a rise."""

import os
import subprocess

import pytest
from cli_tool import BUILD, ROOT


@pytest.mark.skipif("SNAKEPIT_TEST_PRELOAD" in os.environ,
                    reason="a sanitizer's instructions are not ours")  # fmt: skip
def test_a_call_costs_no_more_instructions_than_before():
    ran = subprocess.run([ROOT / "tools" / "counts", BUILD], capture_output=True, text=True,
                         timeout=600, check=False)  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
