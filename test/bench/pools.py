# SPDX-License-Identifier: MIT
"""What Python brings itself: `add` in a process of its standard library's pools.

    pools.py executor|pool --in-flight K --warm-ms MS --measure-ms MS

A closed loop as in measure.h: K calls in flight to one process, each answer starts the
next. Prints one line of JSON with rate, p50_us and p99_us.
"""

import argparse
import concurrent.futures
import json
import multiprocessing
import threading
import time


def add(a, b):
    return {"result": a + b}


class Loop:
    def __init__(self, start, in_flight, warm_ms, measure_ms):
        self.start = start
        self.begin = time.perf_counter() + warm_ms / 1000
        self.end = self.begin + measure_ms / 1000
        self.open = in_flight
        self.latencies = []
        self.over = threading.Event()
        for number in range(in_flight):
            self.next(number)

    def next(self, number):
        began = time.perf_counter()
        self.start(number, lambda result: self.ended(number, began, result))

    def ended(self, number, began, result):
        now = time.perf_counter()
        if result != {"result": number + 3}:
            raise SystemExit(f"pools: {number} + 3 is not {result}")
        if self.begin <= now < self.end:
            self.latencies.append(now - began)
        if now < self.end:
            self.next(number + 1)
            return
        self.open -= 1
        if self.open == 0:
            self.over.set()


def with_executor(run):
    with concurrent.futures.ProcessPoolExecutor(max_workers=1) as executor:

        def start(number, ended):
            future = executor.submit(add, number, 3)
            future.add_done_callback(lambda done: ended(done.result()))

        return run(start)


def with_pool(run):
    with multiprocessing.Pool(1) as pool:
        return run(lambda number, ended: pool.apply_async(add, (number, 3), callback=ended))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("executor", "pool"))
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--warm-ms", type=int, default=200)
    parser.add_argument("--measure-ms", type=int, default=1000)
    options = parser.parse_args()

    def run(start):
        loop = Loop(start, options.in_flight, options.warm_ms, options.measure_ms)
        loop.over.wait()
        return sorted(loop.latencies)

    latencies = (with_executor if options.kind == "executor" else with_pool)(run)
    count = len(latencies)
    print(json.dumps({
        "what": options.kind,
        "in_flight": options.in_flight,
        "rate": count / (options.measure_ms / 1000),
        "p50_us": latencies[count // 2] * 1e6,
        "p99_us": latencies[count * 99 // 100] * 1e6,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
