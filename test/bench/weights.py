# SPDX-License-Identifier: MIT
"""The host's own memory: for an idle worker, for a call that waits, and after ten million
calls."""

from harness import cell

IDLE_WORKERS = 100
QUEUED_CALLS = 50_000

PARTS = []


def once(bench):
    bench.add("weight", "idle", IDLE_WORKERS,
              bench.run("host-memory", "idle", "--workers", IDLE_WORKERS))
    bench.add("weight", "queue", QUEUED_CALLS,
              bench.run("host-memory", "queue", "--calls", QUEUED_CALLS))
    bench.add("weight", "long", bench.plan.long_calls,
              bench.run("host-memory", "long", "--calls", bench.plan.long_calls))


def table(bench):
    print("\nThe host's memory: bytes of heap and resident bytes")
    for name, at, what in (("idle", IDLE_WORKERS, "for an idle worker"),
                           ("queue", QUEUED_CALLS, "for a call that waits")):
        print(f"  {what:28}{cell(bench.median('weight', name, at, 'heap_each'), 12)}"
              f"{cell(bench.median('weight', name, at, 'resident_each'), 12)}")
    for line in bench.samples.get(("weight", "long", bench.plan.long_calls), []):
        print(f"  growth over {line['calls']:,} calls: heap {line['heap_growth']:,}, "
              f"resident {line['resident_growth']:,}, of the worker "
              f"{line['worker_growth']:,} bytes")
