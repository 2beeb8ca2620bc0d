# SPDX-License-Identifier: MIT
"""The profile `thread`: several threads of one worker run calls at the same time.

The main thread serves nobody: it runs signal handlers, and through them interrupts
cancelled calls of the others. All coroutines run on one event loop, on a thread of its
own, so that what one call has opened on it can be used by another.

An adapter has to say that it is made for this: ``__thread_safe__ = True`` in the class,
in the module for plain functions. One that does not say so runs one call at a time.
"""

import sys

is_on = False  # several threads serve


def gil_note():
    """Why threads of this interpreter do not compute at the same time; None: they do."""
    enabled = getattr(sys, "_is_gil_enabled", None)
    if enabled is not None and not enabled():
        return None
    version = "python %d.%d" % sys.version_info[:2]
    if enabled is not None and _is_free_threaded_build():
        return (
            f"{version} is a free-threaded build, but its lock (GIL) is on: the "
            "environment asks for it, or a module that was imported needs it; threads "
            "wait at the same time and compute one after the other"
        )
    return (
        f"{version} has a global interpreter lock (GIL): threads wait at the same time "
        "and compute one after the other. A free-threaded build, such as python3.13t, or "
        "the profile process computes on several processors"
    )


def _is_free_threaded_build():
    import sysconfig

    return bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def allowed(tools, wanted):
    """How many threads may serve these tools, and what to say about it, or None."""
    if wanted == 1:
        return 1, None
    if not tools.is_thread_safe:
        return 1, (
            f"{tools.label} does not say __thread_safe__ = True: it runs one call at a "
            f"time instead of {wanted}"
        )
    return wanted, gil_note()


def watch(tools):
    """Look for state that several threads change without a lock, when the host wants it
    (SNAKEPIT_WORKER_THREAD_CHECKS), and for libraries that are not made for threads."""
    from . import thread_safety_checker as checking

    checker = checking.get_global_checker()
    for warning in checker.check_library_safety():
        sys.stderr.write(f"snakepit: {warning}\n")
    if tools.owner is not None:
        try:
            checker.watch(tools.owner)
        except TypeError as failure:
            sys.stderr.write(f"snakepit: {tools.label} cannot be watched: {failure}\n")


class GilIsOn(Exception):
    """The pool wants an interpreter without its global lock."""


def refuse_the_lock():
    """From here on an import that turns the global lock on raises GilIsOn, with the name
    of the module. Raises it at once when the lock is on."""
    from importlib.machinery import ExtensionFileLoader

    enabled = getattr(sys, "_is_gil_enabled", None)
    if enabled is None or enabled():
        raise GilIsOn(f"require_gil_disabled: {gil_note()}")
    execute = ExtensionFileLoader.exec_module

    def exec_module(self, module):
        result = execute(self, module)
        if enabled():
            raise GilIsOn(
                f"require_gil_disabled: the import of {module.__name__} "
                f"({module.__file__}) has turned the global interpreter lock (GIL) on: "
                "its extension is not made for a free-threaded interpreter"
            )
        return result

    ExtensionFileLoader.exec_module = exec_module


def start(worker, count):
    """Start threads that serve; those that have begun are given back when one cannot."""
    global is_on
    import threading

    is_on = True
    threads = [
        threading.Thread(target=worker.take_part, name=f"snakepit-{n}", daemon=True)
        for n in range(count)
    ]
    begun = 0
    try:
        for thread in threads:
            thread.start()
            begun += 1
    except (RuntimeError, MemoryError):
        worker.stop()
        for thread in threads[:begun]:
            thread.join()
        raise
    return threads
