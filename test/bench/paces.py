# SPDX-License-Identifier: MIT
"""Latency under half load: calls begin on a schedule, and each is timed from the moment
it was due; beside two bare processes that are as busy with every call."""

import statistics

from harness import cell, ratio

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


def unstolen(samples):
    """Those in which the machine under this one gave no whole tick to others."""
    return [m for m in samples if m["stolen"] == 0]


def p99_vs_p50(bench, name, workers, choose=list):
    """When calls pile up all of them are late, and the median is no measure any more: that
    of full load is then the smaller one. choose: which of the half seconds."""
    samples = choose(bench.samples.get(("paced", name, workers), []))
    full = bench.median("capacity", "product", workers, "p50_us")
    if not samples or full is None:
        return None
    p50, p99 = (statistics.median(m[key] for m in samples) for key in ("p50_us", "p99_us"))
    return ratio(p99, min(p50, full))


def kept(bench, workers, samples):
    """How many kept to the bar, and of how many."""
    full = bench.median("capacity", "product", workers, "p50_us")
    some = sum(m["p99_us"] <= BAR * min(m["p50_us"], full) for m in samples)
    return f"{some} of {len(samples)}"


def row(bench, title, name, workers):
    samples = bench.samples[("paced", name, workers)]
    return (f"  {title:>8}"
            + cell(bench.median("capacity", name, workers, "rate"), 12)
            + cell(bench.median("paced", name, workers, "rate"), 10)
            + "".join(cell(bench.median("paced", name, workers, key), 8)
                      for key in ("p50_us", "p90_us", "p99_us", "p999_us"))
            + cell(bench.median("paced", name, workers, "late_p99_us"), 17)
            + f"{kept(bench, workers, samples):>11}{kept(bench, workers, unstolen(samples)):>11}"
            + cell(100 * max(m["stolen"] for m in samples), 11, 1))


def table(bench):
    print("\nCalls on a schedule, half of what is answered at 64 in flight: microseconds "
          "from when each was due")
    print(f"  {'workers':>8}{'capacity':>12}{'calls/s':>10}{'p50':>8}{'p90':>8}{'p99':>8}"
          f"{'p99.9':>8}{'begun late, p99':>17}{f'p99 <= {BAR}':>11}{'unstolen':>11}"
          f"{'stolen, %':>11}")
    for workers in WORKERS:
        print(row(bench, workers, "product", workers))
    print(row(bench, "floor", "floor", 1))
    print("  floor: two bare processes, bound to a processor each, as busy with every call; "
          f"p99 <= {BAR}:\n  half seconds in which p99 was at most so many times p50; unstolen: "
          "the same of those from\n  which the machine under this one took nothing; stolen: "
          "the most that it took, of all\n  processors' time. It is counted in whole ticks: "
          "a stall of a millisecond or two shows in\n  p99 only")
