# SPDX-License-Identifier: MIT
"""Starting workers, executed or forked by a zygote, beside as many interpreters at once;
and what each weighs."""

import subprocess

from harness import cell


# The same with the zygote's own start: nothing preloaded but the adapter, and NumPy.
ZYGOTES = {"zygote": (), "zygote_numpy": ("--preload", "numpy")}


def _has_numpy(bench):
    if "numpy" not in bench.missing:
        done = subprocess.run([bench.python, "-c", "import numpy"], check=False,
                              stderr=subprocess.DEVNULL)  # fmt: skip
        if done.returncode == 0:
            return True
        bench.missing["numpy"] = "the interpreter has none"
    return False


def start(bench):
    has_numpy = _has_numpy(bench)
    for workers in bench.plan.starts:
        for name, flags in (("floor", ("-I", "-S")), ("interpreter", ())):
            bench.add("start", name, workers,
                      bench.run("floor", "spawn", "--count", workers, "--",
                                bench.python, *flags, "-c", "pass"))
        bench.add("start", "product", workers, bench.run("start", "--workers", workers))
        for name, preload in ZYGOTES.items():
            if has_numpy or not preload:
                bench.add("start", name, workers,
                          bench.run("start", "--workers", workers, "--zygote", 1,
                                    *preload))


PARTS = [start]


def _row(bench, name, workers):
    ready, answered, close, left, pss = (
        bench.median("start", name, workers, key)
        for key in ("ready_ms", "answered_ms", "close_ms", "processes_left", "workers_pss")
    )
    if ready is None:
        return
    floor, usual = (bench.median("start", base, workers, "ms")
                    for base in ("floor", "interpreter"))
    print(f"  {workers:>8} {name:13}{cell(ready, 9, 1)}{cell(answered, 10, 1)}"
          f"{cell(floor, 9, 1)}{cell(ready / floor, 7, 2)}{cell(usual, 9, 1)}"
          f"{cell(ready / usual, 7, 2)}{cell(close, 9, 1)}{cell(left, 6)}"
          f"{cell(pss / workers / 1024, 10)}")


def table(bench):
    print("\nStart: milliseconds from opening until all workers are ready, until each has "
          "answered,\nand to close; floor: as many bare interpreters (-I -S) at once; "
          "usual: as many that find\ntheir packages; PSS: KiB of an idle worker")
    print(f"  {'workers':>8} {'':13}{'ready':>9}{'answered':>10}{'floor':>9}{'ratio':>7}"
          f"{'usual':>9}{'ratio':>7}{'close':>9}{'left':>6}{'PSS':>10}")
    for workers in bench.plan.starts:
        for name in ("product", *ZYGOTES):
            _row(bench, name, workers)
