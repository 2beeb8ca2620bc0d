# SPDX-License-Identifier: MIT
"""Sessions: operations a second in memory, and acknowledged changes a second on disk."""

import shutil
import tempfile

from harness import cell

SESSIONS = 100_000


def in_memory(bench):
    for line in bench.run("sessions", "--sessions", SESSIONS, "--operations",
                          bench.plan.operations):
        bench.add("sessions", line["operation"], 1, line)


PARTS = [in_memory]


def once(bench):
    """Files in a folder of their own; every line is a kind of measurement."""
    folder = tempfile.mkdtemp(prefix="snakepit-bench-")
    few = ["--changes", 20_000, "--durable", 2_000] if bench.plan.repetitions == 1 else []
    try:
        for line in bench.run("store", f"{folder}/state", *few):
            kind = next(iter(line))
            name = f"{kind}: {line[kind]}"
            at = line.get("threads", line.get("writers", 1))
            bench.add("store", name, at, line)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def table(bench):
    print(f"\nOperations on {SESSIONS:,} sessions, one thread: a second, and a second of "
          "its processor")
    for name in bench.names("sessions"):
        print(f"  {name:12}"
              + cell(bench.median("sessions", name, 1, "per_second"), 12)
              + cell(bench.median("sessions", name, 1, "per_processor_second"), 12))
    print("Stored sessions, by threads that write: a second")
    for group, name, at in bench.samples:
        if group == "store":
            rate = bench.samples[(group, name, at)][0].get("per_second")
            if rate is not None:
                print(f"  {name:24}{at:>5}{cell(rate, 12)}")
