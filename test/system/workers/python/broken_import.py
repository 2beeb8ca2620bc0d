# SPDX-License-Identifier: MIT
"""An adapter that needs a module which does not exist."""

import a_module_that_nobody_has  # noqa: F401
