# SPDX-License-Identifier: MIT
"""python3 -m snakepit_bridge is the same as snakepit_worker.py."""

import sys

from .worker import main

sys.exit(main())
