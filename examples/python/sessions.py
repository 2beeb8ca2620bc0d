# SPDX-License-Identifier: MIT
"""Sessions: calls that belong together go to the worker that remembers.

    python3 sessions.py

The showcase keeps a counter for each session in the memory of its worker. The pool
holds every session to its worker strictly; with the default, affinity "hint", a
session may move when its worker is busy, which suits tools that only cache.
"""

import snakepit


def main():
    with snakepit.open(adapter="showcase", size=2, affinity="strict_queue") as pit:
        with pit.session("ann") as ann, pit.session("bob") as bob:
            ann.call("set_counter", value=41)
            bob.call("set_counter", value=7)
            print("ann:", ann.call("increment_counter"))
            print("bob:", bob.call("get_counter"))
            print("sessions:", pit.sessions())
        # Leaving the block ends them, here and in the workers.
        print("sessions:", pit.sessions())


if __name__ == "__main__":
    main()
