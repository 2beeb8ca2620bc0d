# SPDX-License-Identifier: MIT
"""Finds what an adapter forgot when its calls run on several threads.

    checker = ThreadSafetyChecker()
    checker.watch(adapter)          # from here on every access is looked at
    ...                             # calls on several threads
    print(checker.get_report()["warnings"])

A warning names the attribute, both accesses with file, line, function and thread, and
whether the calls really overlapped. How it is found: ``_lockset``. In a pool,
``thread_safety_checks: true`` does this for its adapter and logs what is found.
"""

import ast
import contextlib
import functools
import inspect
import logging
import sys
import textwrap
import threading
import time

from . import _lockset
from .compatibility import get_library_info

logger = logging.getLogger(__name__)

UNSAFE_LIBRARIES = {
    "matplotlib": {
        "reason": "pyplot keeps one current figure for the whole process",
        "recommendation": "make a matplotlib.figure.Figure in each call",
    },
    "sqlite3": {
        "reason": "a connection belongs to the thread that made it",
        "recommendation": "a connection for each thread (get_thread_local)",
    },
    "pandas": {
        "reason": "a DataFrame that is changed while it is read gives wrong results",
        "recommendation": "a copy for each call, or a lock around changes",
    },
}


class ThreadSafetyError(RuntimeError):
    """Raised at the access that was found, in strict mode."""


class ThreadSafetyChecker:
    """Watches adapters and counts their calls.

    enabled      False: does nothing
    strict_mode  True: the access that is found raises ThreadSafetyError
    """

    UNSAFE_LIBRARIES = UNSAFE_LIBRARIES

    def __init__(self, enabled=True, strict_mode=False):
        self.enabled = enabled
        self.strict_mode = strict_mode
        self._lock = _lockset._new_lock()
        self._tracker = _lockset.Tracker(self._found, self._left)
        self.reset()

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        return None

    def reset(self):
        """Forget what was counted and found."""
        with self._lock:
            self._since = time.monotonic()
            self._warnings = []
            self._races = []
            self._told = set()
            self._active = {}  # thread id: the methods it is in
            self._concurrent = {}  # method: how often it met another one
            self._methods = set()
            self._threads = {}  # thread name: {calls, total_time, methods}

    # ---- state ----

    def watch(self, adapter):
        """Look at every access to the adapter's attributes from here on. Returns it."""
        return self._tracker.watch(adapter) if self.enabled else adapter

    def _found(self, race):
        with self._lock:
            others = [t for t in self._active if t != threading.get_ident()]
            how = "while other calls ran" if others else "though the calls did not meet"
            self._races.append(race)
            self._warnings.append(f"{race} ({how})")
        logger.warning("%s", self._warnings[-1])
        if self.strict_mode:
            raise ThreadSafetyError(str(race))

    def _left(self, name):
        logger.warning(
            "the contents of %s are not watched: something else refers to them too", name
        )

    @property
    def races(self):
        """What was found, each with ``variable``, ``before`` and ``now``: places with
        ``file``, ``line``, ``function``, ``thread``, ``is_write``."""
        with self._lock:
            return list(self._races)

    # ---- calls ----

    def check_method_access(self, method_name, caller_frame=None):
        """Note that this thread is in a method; True when another thread is too."""
        if not self.enabled:
            return False
        with self._lock:
            self._methods.add(method_name)
            others = any(
                method_name in methods
                for thread, methods in self._active.items()
                if thread != threading.get_ident()
            )
            if others:
                self._concurrent[method_name] = self._concurrent.get(method_name, 0) + 1
        return others

    @contextlib.contextmanager
    def track_execution(self, method_name):
        """``with checker.track_execution("predict"):`` one call, on this thread."""
        if not self.enabled:
            yield
            return
        self.check_method_access(method_name)
        thread = threading.get_ident()
        begin = time.monotonic()
        with self._lock:
            self._active.setdefault(thread, []).append(method_name)
        try:
            yield
        finally:
            self._count(thread, method_name, time.monotonic() - begin)

    def _count(self, thread, method_name, seconds):
        with self._lock:
            methods = self._active.get(thread, [])
            if method_name in methods:
                methods.remove(method_name)
            if not methods:
                self._active.pop(thread, None)
            use = self._threads.setdefault(
                threading.current_thread().name,
                {"calls": 0, "total_time": 0.0, "methods": set()},
            )
            use["calls"] += 1
            use["total_time"] += seconds
            use["methods"].add(method_name)

    # ---- libraries ----

    def check_library_safety(self, imported_modules=None):
        """Warn of libraries that are not made for several threads, among the names given or
        all that are imported. Returns the warnings; each library is told once."""
        if not self.enabled:
            return []
        found = []
        for name in list(sys.modules if imported_modules is None else imported_modules):
            library = get_library_info(name)
            unsafe = UNSAFE_LIBRARIES.get(name)
            if unsafe is None and library is not None and not library.is_thread_safe:
                unsafe = {"reason": "it is not made for several threads",
                          "recommendation": library.note}
            if unsafe is None or name in self._told:
                continue
            self._told.add(name)
            found.append(f"{name}: {unsafe['reason']}; {unsafe['recommendation']}")
        with self._lock:
            self._warnings += found
        return found

    # ---- report ----

    def get_report(self):
        """Everything that was counted and found, as plain data."""
        with self._lock:
            use = {
                name: {
                    "calls": row["calls"],
                    "total_time": row["total_time"],
                    "methods": sorted(row["methods"]),
                    "avg_time_per_call": row["total_time"] / row["calls"],
                }
                for name, row in self._threads.items()
            }
            return {
                "enabled": self.enabled,
                "strict_mode": self.strict_mode,
                "total_runtime": time.monotonic() - self._since,
                "warnings_issued": len(self._warnings),
                "warnings": list(self._warnings),
                "concurrent_accesses": dict(self._concurrent),
                "total_methods_tracked": len(self._methods),
                "total_threads_seen": len(use),
                "thread_utilization": use,
                "recommendations": self._recommendations(),
            }

    def _recommendations(self):
        found = [
            f"protect {race.variable} with acquire_lock(), or keep it for each thread"
            for race in self._races
        ]
        found += [f"{name}: {UNSAFE_LIBRARIES[name]['recommendation']}"
                  for name in sorted(self._told & set(UNSAFE_LIBRARIES))]
        return found


# ---- one checker for the whole process ----

_global = ThreadSafetyChecker(enabled=False)


def enable_checking(strict_mode=False):
    """Switch the process's own checker on; locks made from here on are known to it."""
    global _global
    _lockset.track_new_locks()
    _global = ThreadSafetyChecker(enabled=True, strict_mode=strict_mode)
    return _global


def disable_checking():
    """Switch it off. Objects that are watched stay so, without being told of."""
    global _global
    _lockset.stop_tracking()
    _global.enabled = False
    _global = ThreadSafetyChecker(enabled=False)


def get_global_checker():
    """The process's own checker."""
    return _global


def check_thread_safe(method):
    """Decorator: the calls of a function are counted by the process's own checker."""

    @functools.wraps(method)
    def tracked(*args, **kwargs):
        with _global.track_execution(method.__name__):
            return method(*args, **kwargs)

    return tracked


def require_thread_safe_adapter(function):
    """Decorator of functions whose first argument is an adapter's class or an adapter:
    TypeError unless that says ``__thread_safe__ = True``."""

    @functools.wraps(function)
    def checked(adapter, *args, **kwargs):
        cls = adapter if isinstance(adapter, type) else type(adapter)
        if not validate_adapter_thread_safety(cls):
            raise TypeError(f"{cls.__name__} does not say __thread_safe__ = True")
        return function(adapter, *args, **kwargs)

    return checked


def validate_adapter_thread_safety(adapter_class):
    """Whether the class says that it is made for several threads."""
    return getattr(adapter_class, "__thread_safe__", False) is True


def check_common_pitfalls(adapter_instance):
    """What can be seen without running anything: a missing declaration, containers shared
    by all objects of the class, attributes that tools assign outside of a lock. A list of
    sentences, each with the place."""
    cls = type(adapter_instance)
    found = []
    if not validate_adapter_thread_safety(cls):
        found.append(f"{cls.__name__} does not say __thread_safe__ = True")
    for base in cls.__mro__:
        for name, value in vars(base).items():
            if isinstance(value, (dict, list, set)) and not name.startswith("__"):
                found.append(
                    f"{base.__name__}.{name} is a {type(value).__name__} of the class: "
                    "all objects and threads share it"
                )
    for name, method in inspect.getmembers(cls, inspect.isfunction):
        if name != "__init__" and hasattr(method, "_tool_metadata"):
            found += _assignments_without_lock(inspect.unwrap(method))
    return found


def _assignments_without_lock(method):
    try:
        lines, first = inspect.getsourcelines(method)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError):
        return []
    found = []

    def look(node, is_locked):
        if isinstance(node, (ast.With, ast.AsyncWith)):
            is_locked = is_locked or any("lock" in ast.dump(i).lower() for i in node.items)
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        if isinstance(node, (ast.Assign, ast.AugAssign)) and not is_locked:
            for target in targets:
                if (isinstance(target, ast.Attribute) and
                        isinstance(target.value, ast.Name) and target.value.id == "self"):
                    place = f"{inspect.getsourcefile(method)}:{first + node.lineno - 1}"
                    found.append(
                        f"{method.__name__} sets self.{target.attr} outside of a lock, "
                        f"at {place}")
        for child in ast.iter_child_nodes(node):
            look(child, is_locked)

    look(tree, False)
    return found


def print_thread_safety_report():
    """Write the report of the process's own checker to standard output."""
    report = get_global_checker().get_report()
    print(f"threads: {report['total_threads_seen']}, "
          f"methods: {report['total_methods_tracked']}, "
          f"warnings: {report['warnings_issued']}")
    for line in report["warnings"] + report["recommendations"]:
        print(f"  {line}")
