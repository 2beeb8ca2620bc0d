# SPDX-License-Identifier: MIT
"""Arrays of float64 by size: to a Python tool and back, beside JSON lists and grpcio."""

from pathlib import Path

HERE = Path(__file__).resolve().parent

SIZES = (104, 1_000, 10_000, 100_000, 1_000_000, 8_000_000, 64_000_000)
JSON_MAX = 8_000_000  # lists of more are not waited for
HOWS = {"tensor": "by the socket", "shared": "by shared memory", "json": "JSON lists", "grpcio": "grpcio, both sides"}


def _times(size):
    return 300 if size <= 100_000 else 40 if size <= 1_000_000 else 15


def measure(bench):
    path = bench.folder / "arrays.sock"
    path.unlink(missing_ok=True)
    with bench.server(HERE / "grpcio_arrays.py", "serve", path):
        for size in SIZES:
            times = _times(size)
            for how in ("tensor", "shared", "json"):
                if how == "json" and size > JSON_MAX:
                    continue
                few = 3 if how == "json" and size > 1_000_000 else times
                bench.add("arrays", how, size,
                          bench.run("arrays", "--how", how, "--bytes", size, "--times",
                                    few, "--warm", 2, "--adapter",
                                    HERE / "bench_adapter.py"))
            bench.add("arrays", "grpcio", size,
                      bench.ask(bench.python, HERE / "grpcio_arrays.py", "measure", path,
                                size, times, 2))


def table(bench):
    print("\nArrays of float64: microseconds to a NumPy function, and from one (medians)")
    names = [how for how in HOWS if bench.median("arrays", how, SIZES[0], "take_us")]
    print(f"  {'bytes':>12}" + "".join(f"{HOWS[how]:>28}" for how in names))
    for size in SIZES:
        line = f"  {size:>12,}"
        for how in names:
            take = bench.median("arrays", how, size, "take_median_us")
            give = bench.median("arrays", how, size, "give_median_us")
            line += f"{'-':>28}" if take is None else f"{take:>15,.0f}{give:>13,.0f}"
        print(line)


def ratios(bench, ratio):
    found = {}
    for way in ("take", "give"):
        for mine, other in (("tensor", "grpcio"), ("shared", "grpcio"), ("shared", "json")):
            found[f"array_8mb_{way}_{mine}_vs_{other}"] = ratio(
                bench.median("arrays", other, 8_000_000, f"{way}_median_us"),
                bench.median("arrays", mine, 8_000_000, f"{way}_median_us"),
            )
    return found
