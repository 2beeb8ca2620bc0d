# SPDX-License-Identifier: MIT
"""GIL-aware selection: ask the workers' interpreter whether it has a global lock, then
open the pool whose profile suits it.

    python3 gil.py [INTERPRETER]

With the lock threads compute one after the other, so work that computes belongs into
processes; without it threads do, and share what they have loaded. The interpreter of
the workers need not be the one that runs this program.
"""

import sys

import snakepit

THREADED = "snakepit_bridge.adapters.threaded_showcase.ThreadedShowcaseAdapter"


def has_lock(python):
    """Adapter "none": any importable function can be called."""
    with snakepit.open(adapter="none", size=1, **python) as pit:
        build = pit.call("sysconfig.get_config_var", "Py_GIL_DISABLED")
        print(pit.workers()[0]["runtime"], "-", "no lock" if build == 1 else "a lock")
        return build != 1


def main():
    python = {"python": sys.argv[1]} if len(sys.argv) > 1 else {}
    if has_lock(python):
        shape = {"profile": "process", "size": 4}
    else:
        shape = {"profile": "thread", "size": 1, "threads": 4}
    with snakepit.open(adapter=THREADED, **shape, **python) as pit:
        answers = pit.call_many("compute_intensive", [{"data": [i]} for i in range(8)])
        print(shape["profile"], "- room for", pit.stats()["capacity"], "calls at once,",
              len(answers), "done")


if __name__ == "__main__":
    main()
