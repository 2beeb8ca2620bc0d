# SPDX-License-Identifier: MIT
"""Adapters for worker processes with several threads (``profile: thread``).

One object serves the calls of all threads at the same time. Three ways keep that right,
and ``ThreadSafeAdapter`` has what each of them needs:

- what is only read after ``__init__`` is shared as it is (a model, a table);
- what belongs to one thread is kept for each (``get_thread_local``, ``set_thread_local``):
  connections, caches, buffers;
- what is changed by all is changed inside ``with self.acquire_lock():``.

``thread_safety_checker`` finds what was forgotten, while the calls run.
"""

import contextlib
import functools
import logging
import threading

from .base_adapter import BaseAdapter, tool

logger = logging.getLogger(__name__)


class ThreadLocalStorage:
    """Values by name, of which every thread has its own."""

    def __init__(self):
        self._local = threading.local()

    def _values(self):
        try:
            return self._local.values
        except AttributeError:
            self._local.values = {}
            return self._local.values

    def get(self, key, default=None):
        """This thread's value, ``default`` when it has none."""
        return self._values().get(key, default)

    def set(self, key, value):
        """Keep a value for this thread, as long as the thread lives."""
        self._values()[key] = value

    def delete(self, key):
        """Forget this thread's value; nothing happens when there is none."""
        self._values().pop(key, None)

    def clear(self):
        """Forget all values of this thread."""
        self._values().clear()


class RequestTracker:
    """How many requests each thread has begun, and which are under way."""

    def __init__(self):
        self._lock = threading.Lock()
        self._total = 0
        self._active = {}  # thread id: how many
        self._seen = set()

    def start_request(self, thread_id=None):
        """Count a request of this thread (or that one). Returns its number, from 1."""
        thread_id = threading.get_ident() if thread_id is None else thread_id
        with self._lock:
            self._total += 1
            self._active[thread_id] = self._active.get(thread_id, 0) + 1
            self._seen.add(thread_id)
            return self._total

    def end_request(self, thread_id=None):
        """The last request of this thread (or that one) is over."""
        thread_id = threading.get_ident() if thread_id is None else thread_id
        with self._lock:
            left = self._active.get(thread_id, 0) - 1
            if left > 0:
                self._active[thread_id] = left
            else:
                self._active.pop(thread_id, None)

    def get_stats(self):
        """``total_requests``, ``active_threads``, ``total_active_requests``,
        ``threads_seen``."""
        with self._lock:
            return {
                "total_requests": self._total,
                "active_threads": len(self._active),
                "total_active_requests": sum(self._active.values()),
                "threads_seen": len(self._seen),
            }


def thread_safe_method(method):
    """Mark a method that may run on several threads at once: its requests are counted in
    the adapter's statistics and named in the log. Goes with ``@tool`` in either order."""

    @functools.wraps(method)
    def tracked(self, *args, **kwargs):
        tracker = getattr(self, "_tracker", None)
        if tracker is None:
            return method(self, *args, **kwargs)
        number = tracker.start_request()
        logger.debug("request %d: %s on %s", number, method.__name__,
                     threading.current_thread().name)
        try:
            return method(self, *args, **kwargs)
        finally:
            tracker.end_request()

    return tracked


class ThreadSafeAdapter(BaseAdapter):
    """Base of adapters whose tools may run on several threads at once."""

    __thread_safe__ = True

    def __init__(self):
        super().__init__()
        self._lock = threading.RLock()
        self._thread_local = ThreadLocalStorage()
        self._tracker = RequestTracker()

    @contextlib.contextmanager
    def acquire_lock(self):
        """``with self.acquire_lock():`` one thread at a time; a thread may nest it."""
        with self._lock:
            yield

    def get_thread_local(self, key, default=None):
        """This thread's value, ``default`` when it has none."""
        return self._thread_local.get(key, default)

    def set_thread_local(self, key, value):
        """Keep a value for this thread."""
        self._thread_local.set(key, value)

    def clear_thread_local(self, key=None):
        """Forget this thread's value of that name, or all."""
        if key is None:
            self._thread_local.clear()
        else:
            self._thread_local.delete(key)

    @contextlib.contextmanager
    def track_request(self, request_id=None):
        """Count what runs in the block as a request. Gives its number."""
        number = self._tracker.start_request()
        logger.debug("request %s begins on %s", request_id or number,
                     threading.current_thread().name)
        try:
            yield number
        finally:
            self._tracker.end_request()

    def get_stats(self):
        """``adapter_class``, ``thread_safe``, and what ``RequestTracker`` counts."""
        return {
            "adapter_class": type(self).__name__,
            "thread_safe": self.__thread_safe__,
            **self._tracker.get_stats(),
        }


def require_thread_safe(function):
    """Decorator of functions whose first argument is an adapter: RuntimeError unless that
    says ``__thread_safe__ = True``."""

    @functools.wraps(function)
    def checked(adapter, *args, **kwargs):
        if getattr(adapter, "__thread_safe__", False) is not True:
            raise RuntimeError(
                f"{function.__name__} needs an adapter made for threads; "
                f"{type(adapter).__name__} does not say __thread_safe__ = True"
            )
        return function(adapter, *args, **kwargs)

    return checked


def validate_thread_safety(adapter_class):
    """Whether an adapter class says that it is made for threads and has the lock of
    ``ThreadSafeAdapter`` or one of its own; what is missing is logged."""
    is_sound = True
    if getattr(adapter_class, "__thread_safe__", False) is not True:
        logger.warning("%s does not say __thread_safe__ = True", adapter_class.__name__)
        is_sound = False
    if not (hasattr(adapter_class, "acquire_lock") or hasattr(adapter_class, "_lock")):
        logger.warning("%s has no lock: acquire_lock() or _lock", adapter_class.__name__)
        is_sound = False
    return is_sound


class ExampleThreadSafeAdapter(ThreadSafeAdapter):
    """The three ways in one class: weights that are only read, a cache for each thread, a
    counter under the lock."""

    def __init__(self):
        super().__init__()
        self._weights = (0.2, 0.3, 0.5)  # read by all, changed by nobody
        self._predictions = 0

    @tool
    @thread_safe_method
    def predict(self, input_data: list):
        """The weighted sum of up to three numbers."""
        key = tuple(input_data)
        cache = self.get_thread_local("cache")
        if cache is None:
            cache = {}
            self.set_thread_local("cache", cache)
        if key not in cache:
            cache[key] = sum(w * x for w, x in zip(self._weights, input_data))
        with self.acquire_lock():
            self._predictions += 1
        return {"prediction": cache[key], "thread": threading.current_thread().name}

    @tool
    @thread_safe_method
    def get_statistics(self):
        """How many predictions there were, and the adapter's statistics."""
        with self.acquire_lock():
            return {"predictions": self._predictions, **self.get_stats()}
