# SPDX-License-Identifier: MIT
"""Process against thread: the same four calls in four processes and in four threads.

    python3 profiles.py

Processes need more memory and stop at nothing: a crash costs one call. Threads share
what is loaded, and a global lock where the interpreter has one. The tool, in
adapters/waiting.py, says where it ran.
"""

from pathlib import Path

import snakepit

ADAPTER = str(Path(__file__).resolve().parent.parent / "adapters" / "waiting.py")
CONFIG = {
    "pools": [
        {"name": "processes", "adapter": ADAPTER, "size": 4},
        {"name": "threads", "adapter": ADAPTER, "size": 1,
         "profile": "thread", "threads": 4},
    ]
}


def main():
    with snakepit.open(CONFIG, settings={"sample_interval": "100ms"}) as pit:
        for pool in pit.pools():
            items = [{"seconds": 0.3}] * 4
            answers = pit.call_many("wait", items, pool=pool, in_flight=4)
            processes = {answer["pid"] for answer in answers}
            threads = {(answer["pid"], answer["thread"]) for answer in answers}
            memory = sum(worker["rss_bytes"] for worker in pit.workers(pool))
            print(f"{pool}: processes {len(processes)}, threads {len(threads)}, "
                  f"{memory // 2**20} MiB")


if __name__ == "__main__":
    main()
