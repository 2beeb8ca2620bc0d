# SPDX-License-Identifier: MIT
"""`add` from a program in Python: by a pit, and by what Python brings itself.

    python_caller.py WAY --python PYTHON --count N

Two worker processes each; every answer is checked. Prints one line of JSON: `rate` per
second of N calls, and for those made one at a time `p50_us` and `p99_us`.
"""

import argparse
import concurrent.futures
import contextlib
import json
import multiprocessing
import statistics
import time
from pathlib import Path

ADAPTER = str(Path(__file__).resolve().parent / "bench_adapter.py")
WORKERS = 2
WARM = 500
CHUNK = 64


def add(pair):
    return {"result": pair["a"] + pair["b"]}


def items(count):
    return ({"a": i, "b": 3} for i in range(count))


def pit(python):
    import snakepit

    return snakepit.open(adapter=ADAPTER, size=WORKERS, python=python)


def executor(python):
    return concurrent.futures.ProcessPoolExecutor(WORKERS)


def pool(python):
    return multiprocessing.Pool(WORKERS)


# A way is what to open, and from it a function of the items that gives the results.
WAYS = {
    "snakepit_map": (pit, lambda one, some: one.map("add", some)),
    "executor_map": (executor, lambda one, some: one.map(add, some)),
    "pool_imap": (pool, lambda one, some: one.imap(add, some)),
    "executor_map_chunks": (executor, lambda one, some: one.map(add, some, chunksize=CHUNK)),
    "pool_imap_chunks": (pool, lambda one, some: one.imap(add, some, chunksize=CHUNK)),
}
SINGLE = {
    "snakepit_call": (pit, lambda one, pair: one.call("add", **pair)),
    "snakepit_submit": (pit, lambda one, pair: one.submit("add", **pair).result()),
    "executor_submit": (executor, lambda one, pair: one.submit(add, pair).result()),
    "pool_apply": (pool, lambda one, pair: one.apply(add, (pair,))),
}


def check(results, count):
    for i, result in enumerate(results):
        if result != {"result": i + 3}:
            raise SystemExit(f"python_caller: {i} + 3 is not {result}")
        count -= 1
    if count != 0:
        raise SystemExit(f"python_caller: {count} results are missing")


def many(way, python, count):
    opener, run = WAYS[way]
    with opener(python) as one:
        check(run(one, items(WARM)), WARM)
        began = time.perf_counter()
        check(run(one, items(count)), count)
        seconds = time.perf_counter() - began
    return {"count": count, "rate": count / seconds}


def single(way, python, count):
    opener, run = SINGLE[way]
    latencies = []

    def timed(one):
        for pair in items(count):
            began = time.perf_counter()
            result = run(one, pair)
            latencies.append(time.perf_counter() - began)
            yield result

    with opener(python) as one:
        check((run(one, pair) for pair in items(WARM)), WARM)
        check(timed(one), count)
    hundredths = statistics.quantiles(latencies, n=100)
    return {
        "count": count,
        "rate": count / sum(latencies),
        "p50_us": hundredths[49] * 1e6,
        "p99_us": hundredths[98] * 1e6,
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=[*WAYS, *SINGLE])
    parser.add_argument("--python", required=True)
    parser.add_argument("--count", type=int, required=True)
    options = parser.parse_args()
    measure = many if options.way in WAYS else single
    print(json.dumps(measure(options.way, options.python, options.count)))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
