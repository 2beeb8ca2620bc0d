# SPDX-License-Identifier: MIT
"""Patterns to copy for adapters of ``profile: thread``, at work.

- what is only read: the model, made once in ``__init__``;
- what each thread has for itself: a cache, a random generator;
- what all change, under the lock: the history and the sums.
"""

import hashlib
import math
import threading
import time

from ..base_adapter import tool
from ..base_adapter_threaded import ThreadSafeAdapter, thread_safe_method

HISTORY_MAX = 1000
CACHE_MAX = 256


def _thread():
    return threading.current_thread().name


class ThreadedShowcaseAdapter(ThreadSafeAdapter):
    """Tools that compute, wait and count, on as many threads as the worker has."""

    def __init__(self):
        super().__init__()
        # Read by every thread, changed by none.
        self._model = {"name": "showcase-matrix", "version": "1.0", "complexity": 64}
        self._rows = tuple(
            tuple(math.sin(i * j + 1) for j in range(64)) for i in range(64)
        )
        # Changed under the lock.
        self._history = []
        self._seconds = 0.0
        self._running = 0
        self._most = 0
        self._by_thread = {}

    def _begin(self):
        with self.acquire_lock():
            self._running += 1
            self._most = max(self._most, self._running)
        return time.perf_counter()

    def _end(self, name, begin):
        seconds = time.perf_counter() - begin
        with self.acquire_lock():
            self._running -= 1
            self._seconds += seconds
            self._by_thread[_thread()] = self._by_thread.get(_thread(), 0) + 1
            self._history.append({"tool": name, "thread": _thread(), "seconds": seconds})
            del self._history[:-HISTORY_MAX]
        return seconds

    @tool
    @thread_safe_method
    def ping(self, message: str = "ping"):
        """Say where this runs."""
        return {"message": message, "timestamp": time.time(), "thread": _thread()}

    @tool
    @thread_safe_method
    def compute_intensive(self, data: list, iterations: int = 1000):
        """A sum of sines over the data, ``iterations`` times; each thread keeps its last
        results."""
        cache = self.get_thread_local("results")
        if cache is None:
            cache = {}
            self.set_thread_local("results", cache)
        key = (tuple(data), iterations)
        begin = self._begin()
        is_cached = key in cache
        try:
            if not is_cached:
                if len(cache) >= CACHE_MAX:
                    cache.clear()
                cache[key] = sum(
                    math.sin(x + i) for i in range(iterations) for x in data
                )
            result = cache[key]
        finally:
            seconds = self._end("compute_intensive", begin)
        return {"result": result, "iterations": iterations, "input_size": len(data),
                "cached": is_cached, "execution_time_ms": seconds * 1000,
                "thread": _thread()}

    @tool
    @thread_safe_method
    def matrix_multiply(self, input_vector: list):
        """The model's matrix times a vector of at most 64 numbers; missing ones are 0."""
        begin = self._begin()
        try:
            output = [
                sum(w * x for w, x in zip(row, input_vector)) for row in self._rows
            ]
        finally:
            seconds = self._end("matrix_multiply", begin)
        return {"output": output, "input_size": len(input_vector),
                "output_size": len(output), "execution_time_ms": seconds * 1000,
                "thread": _thread(), "model": self._model["name"]}

    @tool
    @thread_safe_method
    def batch_process(self, items: list, delay_ms: float = 10):
        """Hash each item after a pause, in which other threads have the interpreter."""
        begin = self._begin()
        try:
            results = []
            for number, item in enumerate(items):
                time.sleep(delay_ms / 1000)
                digest = hashlib.md5(str(item).encode(), usedforsecurity=False)
                results.append({"item_id": number, "input": item,
                                "output": digest.hexdigest()[:16], "thread": _thread()})
        finally:
            seconds = self._end("batch_process", begin)
        joined = ",".join(result["output"] for result in results)
        return {"batch_id": hashlib.md5(joined.encode(), usedforsecurity=False).hexdigest(),
                "items_processed": len(items), "results": results,
                "execution_time_ms": seconds * 1000, "thread": _thread()}

    @tool
    @thread_safe_method
    def stress_test(self, duration_ms: float = 100, complexity: int = 1000):
        """Compute for as long as that; how many rounds it were."""
        begin = self._begin()
        end = begin + duration_ms / 1000
        iterations = 0
        try:
            while time.perf_counter() < end:
                sum(math.sqrt(i) for i in range(complexity))
                iterations += 1
        finally:
            seconds = self._end("stress_test", begin)
        return {"iterations": iterations, "target_duration_ms": duration_ms,
                "actual_duration_ms": seconds * 1000, "complexity": complexity,
                "thread": _thread(), "ops_per_second": iterations / max(seconds, 1e-9)}

    @tool
    def get_adapter_stats(self):
        """What was counted: requests, seconds, the most calls at once, by thread."""
        with self.acquire_lock():
            return {
                **self.get_stats(),
                "global_stats": {
                    "total_requests": sum(self._by_thread.values()),
                    "total_compute_time": self._seconds,
                    "max_concurrent": self._most,
                    "thread_usage": dict(self._by_thread),
                },
                "history_entries": len(self._history),
                "model": self._model,
            }

    @tool
    def get_history(self, limit: int = 10):
        """The last calls, newest last."""
        with self.acquire_lock():
            entries = self._history[-limit:] if limit > 0 else []
            return {"entries": entries, "total_entries": len(self._history),
                    "returned": len(entries)}

    @tool
    @thread_safe_method
    def clear_caches(self):
        """Forget this thread's results."""
        self.clear_thread_local()
        return {"status": "success", "message": "this thread's cache is empty",
                "thread": _thread()}
