# SPDX-License-Identifier: MIT
"""Under a sanitizer its library is loaded before pytest, for the tests that open a pit
inside this process (peers.Pit). What they start gets the options that were meant for it,
leak detection included, and preloads where it must by itself (cli_tool.environment)."""

import os

if "SNAKEPIT_TEST_PRELOAD" in os.environ:
    os.environ.pop("LD_PRELOAD", None)
    os.environ["ASAN_OPTIONS"] = os.environ.get("SNAKEPIT_TEST_ASAN_OPTIONS", "")
