# SPDX-License-Identifier: MIT
"""Start a Python worker: python3 snakepit_worker.py --adapter SPEC [ARGUMENTS].

The package lies beside this file, with its extension for one interpreter or several. An
interpreter it was not built for takes the package installed for it, if there is one.
Nothing happens when this file is merely imported, as multiprocessing does in the
processes it spawns.
"""

import os
import sys

EX_CONFIG = 78  # tells the pool that starting this worker again is useless
NOT_BUILT = """snakepit_worker.py: snakepit_bridge is not built for %s
  install it there:      %s -m pip install <source>/bridges/python
  or build it for that:  meson configure -Dpython=%s
"""


def is_built(folder):
    """Whether the package in this folder has an extension this interpreter can load."""
    import _imp

    stem = os.path.join(folder, "snakepit_bridge", "_worker")
    return any(os.path.exists(stem + suffix) for suffix in _imp.extension_suffixes())


def main():
    folder = os.path.dirname(os.path.abspath(__file__))
    if not is_built(folder):
        sys.path[:] = [entry for entry in sys.path if entry != folder]
    elif folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        __import__("snakepit_bridge._worker")
    except ImportError:
        sys.stderr.write(NOT_BUILT % ((sys.executable,) * 3))
        return EX_CONFIG
    from snakepit_bridge.worker import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
