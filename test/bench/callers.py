# SPDX-License-Identifier: MIT
"""Programs in Python that call: a pit beside ProcessPoolExecutor and multiprocessing.Pool
(python_caller.py), two worker processes each, in the same run."""

from harness import HERE, ratio

PROGRAM = HERE / "python_caller.py"
MANY = {
    "snakepit_map": "snakepit, pit.map",
    "executor_map": "ProcessPoolExecutor.map",
    "pool_imap": "multiprocessing.Pool.imap",
    "executor_map_chunks": "ProcessPoolExecutor.map, by 64",
    "pool_imap_chunks": "multiprocessing.Pool.imap, by 64",
}
SINGLE = {
    "snakepit_call": "snakepit, pit.call",
    "snakepit_submit": "snakepit, pit.submit().result()",
    "executor_submit": "ProcessPoolExecutor, one by one",
    "pool_apply": "multiprocessing.Pool.apply",
}
TITLES = {**MANY, **SINGLE}


def _part(name):
    def part(bench):
        package = bench.build / "python"
        measured = bench.ask(
            bench.python, PROGRAM, name, "--python", bench.python,
            "--count", bench.plan.peer_chunks, PYTHONPATH=str(package),
            PYTHONDONTWRITEBYTECODE="1")  # fmt: skip
        bench.add("callers", name, 1, measured)

    part.__name__ = name
    return part


PARTS = [_part(name) for name in TITLES]


def ratios(bench):
    def rate(name):
        return bench.median("callers", name, 1, "rate")

    return {
        "callers_map_vs_executor": ratio(rate("snakepit_map"), rate("executor_map")),
        "callers_map_vs_pool": ratio(rate("snakepit_map"), rate("pool_imap")),
        "callers_call_vs_executor": ratio(
            rate("snakepit_call"), rate("executor_submit")),
        "callers_call_vs_pool": ratio(rate("snakepit_call"), rate("pool_apply")),
    }


def table(bench):
    print("\nPrograms in Python: calls/s; one at a time also p50 and p99 in microseconds")
    for name, title in TITLES.items():
        values = [bench.median("callers", name, 1, "rate")]
        if name in SINGLE:
            values += [bench.median("callers", name, 1, key)
                       for key in ("p50_us", "p99_us")]
        if values[0] is not None:
            print(f"  {title:34}" + "".join(f"{value:>12,.0f}" for value in values))
