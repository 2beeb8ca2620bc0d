# SPDX-License-Identifier: MIT
"""Starting workers, beside as many bare interpreters at once; and what each weighs."""

from harness import cell


def start(bench):
    for workers in bench.plan.starts:
        bench.add("start", "floor", workers,
                  bench.run("floor", "spawn", "--count", workers, "--", bench.python,
                            "-I", "-S", "-c", "pass"))
        bench.add("start", "product", workers, bench.run("start", "--workers", workers))


PARTS = [start]


def table(bench):
    print("\nStart: milliseconds from opening until all workers are ready, until each has "
          "answered,\nand to close; floor: as many bare interpreters at once; memory of "
          "an idle worker")
    print(f"  {'workers':>8}{'ready':>10}{'answered':>10}{'floor':>10}{'ratio':>8}"
          f"{'close':>10}{'left':>6}{'PSS KiB each':>14}")
    for workers in bench.plan.starts:
        ready, answered, close, left, pss = (
            bench.median("start", "product", workers, key)
            for key in ("ready_ms", "answered_ms", "close_ms", "processes_left",
                        "workers_pss")
        )
        floor = bench.median("start", "floor", workers, "ms")
        print(f"  {workers:>8}{cell(ready, 10, 1)}{cell(answered, 10, 1)}"
              f"{cell(floor, 10, 1)}{cell(ready / floor, 8, 2)}{cell(close, 10, 1)}"
              f"{cell(left, 6)}{cell(pss / workers / 1024, 14)}")
