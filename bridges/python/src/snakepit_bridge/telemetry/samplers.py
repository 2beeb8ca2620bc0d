# SPDX-License-Identifier: MIT
"""What the interpreter itself uses, as events, for who wants to know.

    python.memory.sampled   rss_bytes, vms_bytes
    python.cpu.sampled      cpu_percent of one processor, since the sample before
    python.gc.completed     count of objects, generation, duration (ns)

A thread takes a sample now and then, while somebody listens. SNAKEPIT_WORKER_SAMPLE_S
starts it with the worker.
"""

import gc
import os
import threading
import time

from . import emission

_INTERVAL_MIN_S = 0.1
_MEMORY = "python.memory.sampled"
_CPU = "python.cpu.sampled"
_COLLECTION = "python.gc.completed"
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

_lock = threading.Lock()
_running = None


class _Sampler:
    def __init__(self, interval_s, memory, cpu, collections):
        self.interval_s = max(interval_s, _INTERVAL_MIN_S)
        self.memory, self.cpu, self.collections = memory, cpu, collections
        self.over = threading.Event()
        self.begun_ns = 0
        self.at = (time.monotonic(), time.process_time())
        self.thread = threading.Thread(
            target=self.run, name="snakepit-samplers", daemon=True
        )

    def run(self):
        while not self.over.wait(self.interval_s):
            self.sample()

    def sample(self):
        if self.memory and emission.is_wanted(_MEMORY):
            with open("/proc/self/statm", "rb") as file:
                size, resident = file.read().split()[:2]
            emission.emit(
                _MEMORY,
                {
                    "rss_bytes": int(resident) * _PAGE_BYTES,
                    "vms_bytes": int(size) * _PAGE_BYTES,
                },
            )
        if self.cpu and emission.is_wanted(_CPU):
            now = (time.monotonic(), time.process_time())
            passed, used = now[0] - self.at[0], now[1] - self.at[1]
            self.at = now
            if passed > 0:
                percent = round(100 * used / passed, 3)
                emission.emit(_CPU, {"cpu_percent": percent})

    def on_collection(self, phase, info):
        if phase == "start":
            self.begun_ns = time.perf_counter_ns()
        elif self.begun_ns and emission.is_wanted(_COLLECTION):
            emission.emit(
                _COLLECTION,
                {
                    "count": info["collected"],
                    "generation": info["generation"],
                    "duration": time.perf_counter_ns() - self.begun_ns,
                },
            )


def start_samplers(interval_s=5.0, memory=True, cpu=True, gc_events=True):
    """Take samples every `interval_s` seconds; in place of those that were started."""
    global _running
    stop_samplers()
    with _lock:
        _running = _Sampler(interval_s, memory, cpu, gc_events)
        if gc_events:
            gc.callbacks.append(_running.on_collection)
        _running.thread.start()


def stop_samplers():
    """Take no more samples. Waits until the thread has ended."""
    global _running
    with _lock:
        sampler, _running = _running, None
    if sampler is None:
        return
    if sampler.collections:
        gc.callbacks.remove(sampler.on_collection)
    sampler.over.set()
    sampler.thread.join()
