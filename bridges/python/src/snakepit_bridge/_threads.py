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
