# SPDX-License-Identifier: MIT
"""Many calls at once, and a queue that has an end."""

import time

import snakepit

from . import ADAPTERS, LICENSES

TITLE = "Concurrent processing: parallel work, pool management"
WORKERS = 4
ROUNDS = 20_000


def run(stage):
    stage.say("""A map feeds the workers of a pool and keeps them busy, no more: a
              million items need the memory of a few. Each item derives a key from a
              licence, which is honest work for a processor.""")
    with snakepit.open(adapter=str(ADAPTERS / "texts.py"), size=WORKERS) as pit:
        items = [{"path": path, "rounds": ROUNDS}
                 for path in pit.call("files", folder=LICENSES)]
        began = time.monotonic()
        one_by_one = [pit.call("seal", **item) for item in items]
        middle = time.monotonic()
        stage.code('list(pit.map("seal", items))')
        mapped = list(pit.map("seal", items))
        ended = time.monotonic()
        stage.show(f"{len(items)} files one after the other", f"{middle - began:.2f} s")
        stage.show(f"the same on {WORKERS} workers", f"{ended - middle:.2f} s "
                   "(as many at once as there are processors)")
        stage.check("both give the same keys, in the same order",
                    [a["key"] for a in one_by_one] == [a["key"] for a in mapped])
        stage.show("processes that worked", len({a["pid"] for a in mapped}))
        stats = pit.stats()
        stage.show("pool", f"{stats['workers']} workers, {stats['succeeded']} calls, "
                   f"{stats['errors']} errors")
        stage.check("no call failed", stats["errors"] == 0)
    refuse(stage)


def refuse(stage):
    stage.say("""Every queue has an end. One worker that is busy and a queue of two:
              what is too much is refused at once, instead of waiting for nothing.""")
    stage.code('snakepit.open(adapter="showcase", size=1, queue={"max": 2})')
    with snakepit.open(adapter="showcase", size=1, queue={"max": 2}) as pit:
        calls = [pit.submit("sleep_task", duration_ms=200) for _ in range(20)]
        refused = answered = 0
        for call in calls:
            try:
                call.result(timeout=60)
                answered += 1
            except snakepit.QueueFullError:
                refused += 1
        stage.show("of 20 calls", f"{answered} were answered, {refused} refused")
        stage.check("what was taken was answered, the rest refused at once",
                    answered >= 3 and answered + refused == 20
                    and pit.stats()["pool_saturated"] == refused > 0)
