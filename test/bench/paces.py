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


def table(bench):
    print("\nCalls on a schedule, half of what is answered at 64 in flight: microseconds "
          "from when each was due")
    print(f"  {'workers':>8}{'capacity':>12}{'calls/s':>12}{'p50':>9}{'p90':>9}{'p99':>9}"
          f"{'p99.9':>9}{'begun late, p99':>18}{'stolen, %':>11}{'worst':>7}")
    for workers in WORKERS:
        stolen = [100 * m["stolen"] for m in bench.samples[("paced", "product", workers)]]
        print(f"  {workers:>8}"
              + cell(bench.median("capacity", "product", workers, "rate"), 12)
              + cell(bench.median("paced", "product", workers, "rate"), 12)
              + "".join(cell(bench.median("paced", "product", workers, key), 9)
                        for key in ("p50_us", "p90_us", "p99_us", "p999_us"))
              + cell(bench.median("paced", "product", workers, "late_p99_us"), 18)
              + cell(statistics.median(stolen), 11, 1) + cell(max(stolen), 7, 1))
    print("  stolen: of all processors' time, what the machine under this one gave to others "
          "(the median,\n  the worst), in whole ticks: a stall of a millisecond or two may "
          "not show here, and does in p99")
