# SPDX-License-Identifier: MIT
"""Hybrid pools: one pit, a pool for each kind of work.

    python3 hybrid.py

What fills one pool's queue does not hold up the other. A call names its pool; one that
names none goes to the first that has the tool.
"""

import snakepit

THREADED = "snakepit_bridge.adapters.threaded_showcase.ThreadedShowcaseAdapter"
CONFIG = {
    "pools": [
        # Calls that come often and must not disturb each other: processes.
        {"name": "api", "adapter": "showcase", "size": 2, "recycle": {"after": "2h"}},
        # Few processes whose threads share what is loaded.
        {
            "name": "compute",
            "adapter": THREADED,
            "profile": "thread",
            "size": 1,
            "threads": 4,
            "recycle": {"after": "1h", "calls": 1000},
        },
    ]
}


def main():
    with snakepit.open(CONFIG) as pit:
        print("api:", pit.call("add", a=5, b=3, pool="api"))
        result = pit.call("compute_intensive", data=[1, 2, 3])
        print("found in compute, on a thread:", result["thread"])

        # Both at once: submitted here, awaited there.
        batches = ({"items": [i]} for i in range(4))
        slow = pit.map("batch_process", batches, pool="compute")
        fast = pit.map("add", ({"a": i, "b": i} for i in range(4)), pool="api")
        print("fast:", [answer["result"] for answer in fast])
        print("slow:", len(list(slow)), "batches")

        for name in pit.pools():
            stats = pit.stats(name)
            print(f"{name}: {stats['workers']} workers, room for {stats['capacity']}, "
                  f"{stats['succeeded']} calls")


if __name__ == "__main__":
    main()
