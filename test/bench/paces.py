# SPDX-License-Identifier: MIT
"""Latency under half load: calls begin on a schedule, and each is timed from the moment
it was due."""

import statistics

from harness import cell

WORKERS = (1, 2)
SHARE = 0.5


def paced(bench):
    """The capacity is measured just before, by calls that are paced by their answers."""
    for workers in WORKERS:
        full = bench.run("product", "calls", "--in-flight", 64, "--workers", workers,
                         *bench.plan.window)
        bench.add("capacity", "product", workers, full)
        measured = bench.samples[("capacity", "product", workers)]
        rate = statistics.median(m["rate"] for m in measured) * SHARE
        bench.add("paced", "product", workers,
                  bench.run("paced", "--rate", int(rate), "--workers", workers,
                            *bench.plan.window))


PARTS = [paced]


def _stolen(bench, workers):
    shares = [m["stolen"] for m in bench.samples[("paced", "product", workers)]]
    return (statistics.median(shares), 11), (max(shares), 9)


def table(bench):
    print("\nCalls on a schedule, half of what is answered at 64 in flight: microseconds "
          "from when each was due")
    print(f"  {'workers':>8}{'capacity':>12}{'calls/s':>12}{'p50':>9}{'p90':>9}{'p99':>9}"
          f"{'p99.9':>9}{'begun late, p99':>18}{'stolen, %':>11}{'at most':>9}")
    for workers in WORKERS:
        print(f"  {workers:>8}"
              + cell(bench.median("capacity", "product", workers, "rate"), 12)
              + cell(bench.median("paced", "product", workers, "rate"), 12)
              + "".join(cell(bench.median("paced", "product", workers, key), 9)
                        for key in ("p50_us", "p90_us", "p99_us", "p999_us"))
              + cell(bench.median("paced", "product", workers, "late_p99_us"), 18)
              + "".join(cell(value * 100, width, 1) for value, width in _stolen(bench, workers)))
    print("  stolen: of all processors' time, what the machine under this one gave to others "
          "(the median,\n  the worst), in whole ticks: a stall of a millisecond or two may "
          "not show here, and does in p99")
