# SPDX-License-Identifier: MIT
"""Latency under half load: calls begin on a schedule, and each is timed from the moment
it was due; beside two bare processes that are as busy with every call."""

import statistics

from harness import cell

WORKERS = (1, 2)
SHARE = 0.5
TURNS = 3


def paced(bench):
    """The capacity is measured just before, by calls that are paced by their answers. What
    the machine does to the slowest hundredth differs from one half second to the next, so
    there are several of them, in turns with the floor."""
    for workers in WORKERS:
        bench.add("capacity", "product", workers,
                  bench.run("product", "calls", "--in-flight", 64, "--workers", workers,
                            *bench.plan.window))
        capacity = bench.median("capacity", "product", workers, "rate")
        rate = ["--rate", int(capacity * SHARE), *bench.plan.window]
        for _ in range(TURNS):
            bench.add("paced", "product", workers,
                      bench.run("paced", *rate, "--workers", workers))
            if workers == 1:
                bench.add("paced", "floor", workers,
                          bench.run("paced", *rate, "--bare-ns", int(1e9 / capacity)))


PARTS = [paced]


def row(bench, title, name, workers):
    samples = bench.samples[("paced", name, workers)]
    stolen = [100 * m["stolen"] for m in samples]
    return (f"  {title:>8}"
            + cell(bench.median("capacity", name, workers, "rate"), 12)
            + cell(bench.median("paced", name, workers, "rate"), 12)
            + "".join(cell(bench.median("paced", name, workers, key), 9)
                      for key in ("p50_us", "p90_us", "p99_us", "p999_us"))
            + cell(bench.median("paced", name, workers, "late_p99_us"), 18)
            + cell(sum(m["p99_us"] <= 3 * m["p50_us"] for m in samples), 6)
            + f" of {len(samples)}"
            + cell(statistics.median(stolen), 11, 1) + cell(max(stolen), 7, 1))


def table(bench):
    print("\nCalls on a schedule, half of what is answered at 64 in flight: microseconds "
          "from when each was due")
    print(f"  {'workers':>8}{'capacity':>12}{'calls/s':>12}{'p50':>9}{'p90':>9}{'p99':>9}"
          f"{'p99.9':>9}{'begun late, p99':>18}{'p99 <= 3':>11}{'stolen, %':>11}"
          f"{'worst':>7}")
    for workers in WORKERS:
        print(row(bench, workers, "product", workers))
    print(row(bench, "floor", "floor", 1))
    print("  floor: two bare processes, bound to a processor each, as busy with every call; "
          "p99 <= 3:\n  halves of a second in which p99 was at most three times p50; "
          "stolen: of all processors'\n  time, what the machine under this one gave to "
          "others (the median, the worst), in whole\n  ticks: a stall of a millisecond or "
          "two may not show here, and does in p99")
