# SPDX-License-Identifier: MIT
"""Threads and load. Hashing gives up the interpreter's lock, so threads help."""

import time

from .basic import seconds, whole

_ROUNDS = 60_000


def _derive(task_id):
    """Derive a key, which takes long on purpose."""
    import hashlib
    import threading

    started = time.perf_counter()
    key = hashlib.pbkdf2_hmac("sha256", b"task %d" % task_id, b"showcase", _ROUNDS)
    return {
        "task_id": task_id,
        "key": key.hex(),
        "seconds": round(time.perf_counter() - started, 6),
        "thread": threading.current_thread().name,
    }


def demo(task_count):
    import os
    from concurrent.futures import ThreadPoolExecutor

    task_count = whole("task_count", task_count, 1)
    workers = min(task_count, 4 * (os.cpu_count() or 1))
    started = time.perf_counter()
    one_by_one = [_derive(i)["key"] for i in range(task_count)]
    alone = time.perf_counter() - started
    started = time.perf_counter()
    with ThreadPoolExecutor(workers, "concurrent_demo") as pool:
        results = list(pool.map(_derive, range(task_count)))
    together = time.perf_counter() - started
    return {
        "task_count": task_count,
        "threads": workers,
        "results": results,
        "same_results": [r["key"] for r in results] == one_by_one,
        "sequential_seconds": round(alone, 6),
        "concurrent_seconds": round(together, 6),
        "speedup": round(alone / together, 3) if together else None,
        "success": True,
    }


def cpu_bound(task_id, duration_ms):
    wanted = seconds("duration_ms", duration_ms) / 1000
    started = time.perf_counter()
    state, rounds = 1, 0
    while time.perf_counter() - started < wanted:
        for _ in range(1000):
            state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        rounds += 1000
    return {
        "task_id": task_id,
        "result": state,
        "iterations": rounds,
        "actual_duration_ms": round((time.perf_counter() - started) * 1000, 3),
    }


def sleep(duration_ms, task_number):
    started = time.perf_counter()
    time.sleep(seconds("duration_ms", duration_ms) / 1000)
    return {
        "task_number": task_number,
        "slept_ms": round((time.perf_counter() - started) * 1000, 3),
    }
