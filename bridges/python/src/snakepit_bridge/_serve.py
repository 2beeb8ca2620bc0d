# SPDX-License-Identifier: MIT
"""What the serve loop asks Python for, because it is rare: awaiting, streams that are
no plain generators, contexts, and the telling of exceptions."""

import sys

from . import _worker


def context():
    """The SessionContext of the call that runs now."""
    from .session_context import of_call

    return of_call(_worker.current())


def settle():
    """The call is about to be answered: everything it asked of the host must be."""
    reply = sys.modules.get("snakepit_bridge._reply")
    if reply is not None:
        reply.settle()


def overlap(pending, awaitable, call):
    """A task of the event loop that ends the call."""
    return sys.modules["snakepit_bridge._overlap"].begin(pending, awaitable, call)


def overlap_turn(pending, cancelled):
    """A call whose task runs has come back."""
    sys.modules["snakepit_bridge._overlap"].turn(pending, cancelled)


def start_threads(worker, count):
    """Threads that serve, in the profile `thread`."""
    from . import _threads

    return _threads.start(worker, count)


def join(threads):
    """Wait for them; they have ended, or are about to."""
    for thread in threads:
        thread.join()


_ended = None  # what is called with the name of a session that is over


def tell_session_ends(callback):
    """From now on `callback` hears of each session that is over."""
    global _ended
    _ended = callback


def session_ended(session):
    """A session is over whose calls have run here."""
    if _ended is not None:
        _ended(session)


def run(awaitable):
    """What a coroutine (or another awaitable) gives in the end."""
    from . import _async

    return _async.run(awaitable)


def iterate(value):
    """A stream's result as an iterator; a value that is none becomes its only item."""
    cls = type(value)
    if hasattr(cls, "__anext__") or hasattr(cls, "__aiter__"):
        from . import _async

        return _async.iterate(value)
    if hasattr(cls, "__next__"):
        return value
    return iter((value,))


def unwrap(item):
    """The data of a StreamChunk, or of what looks like one; others as they are."""
    is_final = getattr(item, "is_final", None)
    if is_final is None or not hasattr(item, "data"):
        return item
    data = item.data
    metadata = getattr(item, "metadata", None)
    if data is None:
        data = {}
    if isinstance(data, dict):
        data = dict(data)
        data.setdefault("is_final", bool(is_final))
        if metadata:
            data.setdefault("_metadata", dict(metadata))
    return data


def describe(exception, with_trace):
    """(type, message, traceback or None, JSON or None) of an exception, as texts."""
    from . import _failures

    story = _failures.describe(exception, with_trace)
    if with_trace and _worker.listens():
        from .telemetry import failures

        failures.report(exception, story[0], story[3])
    return story


def finish():
    """End the samplers and close the event loop, if there ever were any."""
    samplers = sys.modules.get("snakepit_bridge.telemetry.samplers")
    if samplers is not None:
        samplers.stop_samplers()
    module = sys.modules.get("snakepit_bridge._async")
    if module is not None:
        module.close()
