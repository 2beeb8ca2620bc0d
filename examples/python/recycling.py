# SPDX-License-Identifier: MIT
"""Recycling: workers are replaced when they are old, and no call notices.

    python3 recycling.py

Here a worker may be 300 ms old, or have answered 2,000 calls; in earnest it is hours.
Its relief is ready before it gets no more calls. The program calls all the time and
stops when three workers have been replaced.
"""

import threading

import snakepit

RULES = {"after": "300ms", "calls": 2000, "jitter": 0}


def main():
    replaced = []
    enough = threading.Event()

    def on_event(event):
        if event["kind"] == "worker.recycle_started":
            replaced.append(event["message"])
            if len(replaced) == 3:
                enough.set()

    calls = 0
    options = {"size": 1, "recycle": RULES, "on_event": on_event}
    with snakepit.open(adapter="showcase", **options) as pit:
        pids = set()
        while not enough.is_set():
            assert pit.call("add", a=calls, b=1)["result"] == calls + 1
            pids.update(worker["pid"] for worker in pit.workers())
            calls += 1
        recycled = pit.stats()["recycled"]
        print("replaced:", recycled >= 2, "processes seen:", len(pids) >= 3)
        reasons = {message.split("(")[-1].rstrip(")") for message in replaced}
        print("why:", sorted(reasons))
        print("all calls answered, workers that died:", pit.stats()["workers_died"])


if __name__ == "__main__":
    main()
