# SPDX-License-Identifier: MIT
"""Start a Python worker: python3 snakepit_worker.py --adapter SPEC [ARGUMENTS].

The package lies beside this file. Nothing happens when it is merely imported, as
multiprocessing does in the processes it spawns.
"""

import os
import sys


def main():
    folder = os.path.dirname(os.path.abspath(__file__))
    if folder not in sys.path:
        sys.path.insert(0, folder)
    from snakepit_bridge.worker import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
