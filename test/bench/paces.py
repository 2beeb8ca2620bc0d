# SPDX-License-Identifier: MIT
"""Latency under half load: calls begin on a schedule, and each is timed from the moment
it was due; beside two bare processes that are as busy with every call."""

import statistics

from harness import cell

WORKERS = (1, 2)
SHARE = 0.5
BAR = 3  # times p50, for p99


def paced(bench):
    """What the machine does to the slowest hundredth, and how fast it is, differs from one
    half second to the next. So there are several of them, in turns with the floor, and just
    before each the capacity is measured anew, by calls that are paced by their answers."""
    for workers in WORKERS:
        for _ in range(bench.plan.turns):
            capacity = bench.run("product", "calls", "--in-flight", 64,
                                 "--workers", workers, *bench.plan.window)
            bench.add("capacity", "product", workers, capacity)
            rate = ["--rate", int(capacity["rate"] * SHARE), *bench.plan.window]
            bench.add("paced", "product", workers,
                      bench.run("paced", *rate, "--workers", workers))
            if workers == 1:
                bench.add("paced", "floor", workers,
                          bench.run("paced", *rate,
                                    "--bare-ns", int(1e9 / capacity["rate"])))


PARTS = [paced]


def _each(bench, name, workers, unstolen):
    """p99 beside p50, of each half second. When calls pile up all of them are late, and the
    median is no measure any more: that of full load just before is then the smaller one.
    unstolen: only of those in which the machine under this one gave no whole tick to
    others."""
    return [m["p99_us"] / min(m["p50_us"], full["p50_us"])
            for m, full in zip(bench.samples.get(("paced", name, workers), []),
                               bench.samples.get(("capacity", "product", workers), []),
                               strict=True)
            if not unstolen or m["stolen"] == 0]


def p99_vs_p50(bench, name, workers, unstolen=False):
    each = _each(bench, name, workers, unstolen)
    return round(statistics.median(each), 2) if each else None


def kept(bench, name, workers, unstolen=False):
    """How many kept to the bar, and of how many."""
    each = _each(bench, name, workers, unstolen)
    return f"{sum(value <= BAR for value in each)} of {len(each)}"


def row(bench, title, name, workers):
    stolen = max(m["stolen"] for m in bench.samples[("paced", name, workers)])
    return (f"  {title:>8}"
            + cell(bench.median("capacity", name, workers, "rate"), 12)
            + cell(bench.median("paced", name, workers, "rate"), 10)
            + "".join(cell(bench.median("paced", name, workers, key), 8)
                      for key in ("p50_us", "p90_us", "p99_us", "p999_us"))
            + cell(bench.median("paced", name, workers, "late_p99_us"), 17)
            + cell(p99_vs_p50(bench, name, workers), 9, 2)
            + f"{kept(bench, name, workers):>11}{kept(bench, name, workers, unstolen=True):>11}"
            + cell(100 * stolen, 11, 1))


def table(bench):
    print("\nCalls on a schedule, half of what is answered at 64 in flight: microseconds "
          "from when each was due")
    print(f"  {'workers':>8}{'capacity':>12}{'calls/s':>10}{'p50':>8}{'p90':>8}{'p99':>8}"
          f"{'p99.9':>8}{'begun late, p99':>17}{'p99/p50':>9}{f'at most {BAR}':>11}{'unstolen':>11}"
          f"{'stolen, %':>11}")
    for workers in WORKERS:
        print(row(bench, workers, "product", workers))
    print(row(bench, "floor", "floor", 1))
    print("  floor: two bare processes, bound to a processor each, as busy with every call; "
          "p99/p50: of each\n  half second, the median; at most: in how many of them; "
          "unstolen: the same of those from\n  which the machine under this one took nothing; "
          "stolen: the most that it took, of all\n  processors' time. It is counted in whole "
          "ticks: a stall of a millisecond or two shows in\n  p99 only")
