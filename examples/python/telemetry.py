# SPDX-License-Identifier: MIT
"""Telemetry: what a pit says of itself, as events and as figures.

    python3 telemetry.py

Events reach `on_event` on a thread of the package, one after the other: a slow handler
slows nobody. Here they are counted and logged, as a program would feed its own metrics.
"""

import collections
import logging
import threading

import snakepit


class Monitor:
    """Counts events by kind, and alerts when a worker died."""

    def __init__(self):
        self.counts = collections.Counter()
        self.replaced = threading.Event()

    def __call__(self, event):
        self.counts[event["kind"]] += 1
        if event["kind"] == "worker.died":
            logging.warning("alert: %s", event["message"])
        if event["kind"] == "worker.ready" and self.counts["worker.died"]:
            self.replaced.set()


def main():
    logging.basicConfig(format="%(levelname)s %(message)s")
    monitor = Monitor()
    with snakepit.open(adapter="none", size=2, on_event=monitor) as pit:
        pit.call_many("math.factorial", [(200,)] * 50)

        try:  # something to be alarmed by
            pit.call("os._exit", 3)
        except snakepit.WorkerDiedError as error:
            print("failed:", error.code)
        monitor.replaced.wait(60)

        stats = pit.stats()
        print("requests:", stats["requests"], "errors:", stats["errors"],
              "died:", stats["workers_died"])
    for kind in sorted(monitor.counts):
        print(kind, monitor.counts[kind])


if __name__ == "__main__":
    main()
