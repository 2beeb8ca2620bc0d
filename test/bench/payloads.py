# SPDX-License-Identifier: MIT
"""Payloads by size: arrays of float64 to a Python tool and back, by the socket and through
shared memory; beside JSON lists, grpcio, and the machine's floors: memcpy and a socket."""

from harness import HERE, cell, ratio

SIZES = (104, 1_000, 10_000, 100_000, 1_000_000, 8_000_000, 64_000_000)
JSON_MAX = 8_000_000  # lists of more are not waited for
HOWS = {"tensor": "by the socket", "shared": "by shared memory", "json": "JSON lists",
        "grpcio": "grpcio, both sides"}  # fmt: skip
FLOORS = {"copy": "memcpy", "carry": "a bare socket"}


def _times(size, how=""):
    if how == "json" and size > 1_000_000:
        return 1
    few = 5 if size <= 8_000_000 else 3
    return 300 if size <= 100_000 else 40 if size <= 1_000_000 else few


def _ours(bench, size):
    for how in ("tensor", "shared", "json"):
        if how == "json" and size > JSON_MAX:
            continue
        bench.add("arrays", how, size,
                  bench.run("arrays", "--how", how, "--bytes", size, "--times",
                            _times(size, how), "--warm", 1))


def payloads(bench):
    path = bench.folder / "arrays.sock"
    path.unlink(missing_ok=True)
    with bench.server(HERE / "grpcio_arrays.py", "serve", path):
        for size in SIZES:
            _ours(bench, size)
            bench.add("arrays", "grpcio", size,
                      bench.ask(bench.python, HERE / "grpcio_arrays.py", "measure", path,
                                size, _times(size), 1))
            for floor in FLOORS:
                bench.add("carry", floor, size,
                          bench.run("floor", floor, "--bytes", size, "--times",
                                    _times(size)))


PARTS = [payloads]


def _both(bench, how, size, shown):
    take, give = (bench.median("arrays", how, size, f"{way}_median_us")
                  for way in ("take", "give"))
    return cell(take and shown(take), 14, 1) + cell(give and shown(give), 12, 1)


def _table(bench, title, shown):
    names = [how for how in HOWS if how in bench.names("arrays")]
    print(f"\n{title}")
    print(f"  {'bytes':>12}" + "".join(f"{HOWS[how]:>26}" for how in names)
          + "".join(f"{title:>16}" for title in FLOORS.values()))
    for size in SIZES:
        print(f"  {size:>12,}"
              + "".join(_both(bench, how, size, lambda us, size=size: shown(size, us))
                        for how in names)
              + "".join(cell(shown(size, bench.median("carry", floor, size, "median_us")
                                   or float("inf")), 16, 1) for floor in FLOORS))


def table(bench):
    _table(bench, "Arrays of float64: microseconds to a NumPy function, and from one",
           lambda size, us: us)
    _table(bench, "The same in MB/s", lambda size, us: size / us)


def ratios(bench):
    found = {}
    for way in ("take", "give"):
        for mine, other in (("tensor", "grpcio"), ("shared", "grpcio"), ("shared", "json")):
            found[f"array_8mb_{way}_{mine}_vs_{other}"] = ratio(
                bench.median("arrays", other, 8_000_000, f"{way}_median_us"),
                bench.median("arrays", mine, 8_000_000, f"{way}_median_us"))
        found[f"array_8mb_{way}_shared_vs_copy"] = ratio(
            bench.median("arrays", "shared", 8_000_000, f"{way}_median_us"),
            bench.median("carry", "copy", 8_000_000, "median_us"))
    return found
