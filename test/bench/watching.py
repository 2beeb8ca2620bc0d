# SPDX-License-Identifier: MIT
"""What it costs to be watched: calls/s with telemetry, as a share of those without."""

from harness import cell

IN_FLIGHT = 64
WORDS = {
    "off": "nobody listens",
    "on": "log, StatsD, and spans and metrics to a collector",
    "traced": "the same, with every call traced",
    "told": "nothing but a handler that takes every event",
}


def watched(bench):
    window_ms = max(50, bench.plan.measure_ms // 5)
    for line in bench.run("watched", "--rounds", 10, "--window-ms", window_ms):
        bench.add("watched", line.pop("what"), IN_FLIGHT, line)


PARTS = [watched]


def shares(bench):
    return {f"{name}_vs_off": bench.median("watched", name, IN_FLIGHT, "of_off")
            for name in WORDS if name != "off"}


def table(bench):
    print(f"\nWatched: calls/s at {IN_FLIGHT} in flight, their share of those with telemetry "
          "off, and processor time per call in microseconds")
    for name, words in WORDS.items():
        print(f"  {name:8}{words:52}"
              + cell(bench.median("watched", name, IN_FLIGHT, "rate"), 12)
              + cell(bench.median("watched", name, IN_FLIGHT, "of_off"), 8, 2)
              + cell(bench.median("watched", name, IN_FLIGHT, "cpu_us"), 8, 2))
