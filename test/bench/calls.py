# SPDX-License-Identifier: MIT
"""Calls: how many a second and how long each takes, by calls in flight, workers and
threads; beside the machine's own floor."""

from harness import cell, head

IN_FLIGHT = (1, 4, 16, 64, 256)
# A call of one worker that is alone: alone().
GRID = {1: IN_FLIGHT[1:], 2: IN_FLIGHT, 16: IN_FLIGHT, 100: (1, 4, 16, 64, 100, 256)}
THREADS = (1, 8, 64)
EXECUTE = {1: "product", 16: "product_16"}
QUANTILES = ("p50_us", "p90_us", "p99_us", "p999_us")


def name_of(workers):
    return "product" if workers == 1 else f"product_{workers}"


TITLES = {name_of(n): f"snakepit, {n} worker{'s' if n > 1 else ''}" for n in GRID}


def listed(numbers):
    return ",".join(map(str, numbers))


def alone(bench):
    """How long one call takes depends on where the kernel puts the two processes, and
    differs from one run to the next: several of both, in turns."""
    for _ in range(bench.plan.turns):
        bench.add("floor", "pingpong", 1,
                  bench.run("floor", "pingpong", *bench.plan.window))
        bench.add("calls", "product", 1,
                  bench.run("product", "calls", "--in-flight", 1, "--workers", 1,
                            *bench.plan.window))


def product(bench):
    for workers, numbers in GRID.items():
        bench.add_each("calls", name_of(workers), numbers,
                       bench.run("product", "calls", "--in-flight", listed(numbers),
                                 "--workers", workers, *bench.plan.window))


def execute(bench):
    for workers, name in EXECUTE.items():
        bench.add_each("execute", name, THREADS,
                       bench.run("product", "execute", "--threads", listed(THREADS),
                                 "--workers", workers, *bench.plan.window))


def in_order(bench):
    bench.add("map", "product", 1,
              bench.run("product", "map", "--measure-ms", bench.plan.measure_ms))


PARTS = [alone, product, execute, in_order]


def rates_table(bench, group, titles, numbers, what):
    head(what, numbers, 26)
    for name, title in titles.items():
        if name in bench.names(group):
            print(f"  {title:30}" + "".join(
                cell(bench.median(group, name, k, "rate"), 10)
                + cell(bench.median(group, name, k, "p50_us"), 8)
                + cell(bench.median(group, name, k, "p99_us"), 8) for k in numbers))


def table(bench):
    numbers = bench.numbers("calls")
    rates_table(bench, "calls", TITLES, numbers,
                "`add`: calls/s, p50 and p99 in microseconds, by calls in flight")
    rate, p50, p99 = (bench.median("floor", "pingpong", 1, key)
                      for key in ("rate", "p50_us", "p99_us"))
    print(f"  {'64 bytes there and back, C':30}{cell(rate, 10)}{cell(p50, 8)}{cell(p99, 8)}")
    head("  p90 and p99.9 in microseconds", numbers, 26, 28)
    for name, title in TITLES.items():
        print(f"  {title:30}" + "".join(
            " " * 10 + cell(bench.median("calls", name, k, "p90_us"), 8)
            + cell(bench.median("calls", name, k, "p999_us"), 8) for k in numbers))
    head("  processor time per call in microseconds, host and worker", numbers, 26, 28)
    for name, title in TITLES.items():
        print(f"  {title:30}" + "".join(
            " " * 10 + cell(bench.median("calls", name, k, "host_cpu_us"), 8, 2)
            + cell(bench.median("calls", name, k, "worker_cpu_us"), 8, 2)
            for k in numbers))
    rates_table(bench, "execute", TITLES, THREADS,
                "sp_execute: calls/s, p50 and p99 in microseconds, by threads that call")
    print("\nsp_map, one thread that gives and takes in order:"
          f"{cell(bench.median('map', 'product', 1, 'rate'), 10)} calls/s")
