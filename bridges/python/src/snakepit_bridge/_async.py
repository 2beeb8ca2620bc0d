# SPDX-License-Identifier: MIT
"""Coroutines and async generators of tools, on one event loop that lives as long as the
worker, so that what a tool opened on it (a client, a connection) stays usable.

With one thread the loop turns only while a call waits on it. In the profile `thread` it
turns on a thread of its own, and those that serve wait for their coroutines. A cancelled
call cancels its task, so the coroutine sees asyncio.CancelledError at its next await; one
that blocks instead is interrupted like any other tool, or, in the profile `thread`, left
alone on the loop.
"""

import _thread
import asyncio
import sys
from contextvars import ContextVar, copy_context

from . import _worker

_loop = None
_keeper = None  # the thread on which the loop turns, in the profile `thread`
_lock = _thread.allocate_lock()
# What a call has asked of its host and not looked at: see _reply.
unseen = ContextVar("snakepit_unseen", default=None)


def event_loop():
    """The loop, made when it is first needed."""
    global _loop
    if _loop is None or _loop.is_closed():
        overlap = sys.modules.get("snakepit_bridge._overlap")
        _loop = asyncio.new_event_loop() if overlap is None else overlap.new_loop()
        if _keeper is None:
            asyncio.set_event_loop(_loop)
    return _loop


async def _await(awaitable, replies):
    unseen.set(replies)
    return await awaitable


def _call_cancelled():
    call = _worker.current()
    return call is not None and call.cancelled()


def _settled(value, replies):
    """The plain value, once what was asked of the host meanwhile has been answered."""
    reply = sys.modules.get("snakepit_bridge._reply")
    if reply is None:
        return value
    reply.settle(replies)
    return reply.plain(value)


def _are_many():
    threads = sys.modules.get("snakepit_bridge._threads")
    return threads is not None and threads.is_on


def run(awaitable):
    """Run an awaitable to its end on the loop."""
    if _keeper is None and _are_many():
        keep_turning()
    if _keeper is not None:
        return _run_elsewhere(awaitable)
    replies = []
    loop = event_loop()
    task = loop.create_task(_await(awaitable, replies))
    _worker.set_canceller(lambda again: loop.call_soon_threadsafe(task.cancel))
    try:
        return _settled(loop.run_until_complete(task), replies)
    except asyncio.CancelledError:
        if _call_cancelled():
            raise _worker.Cancelled("nobody waits for this call any more") from None
        raise
    except _worker.Cancelled:
        _abandon(loop, task)
        raise
    finally:
        _worker.set_canceller(None)


def _abandon(loop, task):
    """End a task whose loop was interrupted under it."""
    if not task.done():
        task.cancel()
        try:
            loop.run_until_complete(task)
        except (asyncio.CancelledError, Exception):
            pass  # its caller has left; the interruption is what counts


# ---- the loop on a thread of its own ----


def keep_turning():
    """From now on the loop turns by itself."""
    global _keeper
    import threading

    with _lock:
        if _keeper is None:
            loop = event_loop()
            asyncio.set_event_loop(None)
            _keeper = threading.Thread(
                target=_turn, args=(loop,), name="snakepit-loop", daemon=True
            )
            _keeper.start()


def _turn(loop):
    asyncio.set_event_loop(loop)
    loop.run_forever()


class _Errand:
    """An awaitable on its way to the loop, and its outcome on the way back."""

    def __init__(self, awaitable, replies):
        from _queue import SimpleQueue  # get() may be told several times

        self._coroutine = _await(awaitable, replies)
        self._news = SimpleQueue()
        self._task = None
        self._context = copy_context()
        self._context.run(_worker.call_var.set, _worker.current())

    def _start(self):
        self._task = self._context.run(_loop.create_task, self._coroutine)
        self._task.add_done_callback(self._news.put)

    def _cancel_task(self):
        if self._task is not None:
            self._task.cancel()

    def cancel(self, again):
        """Any thread: cancel the task, and when it stays, let the one that waits go."""
        _loop.call_soon_threadsafe(self._cancel_task)
        if again:
            self._news.put(None)

    def result(self):
        _loop.call_soon_threadsafe(self._start)
        task = self._news.get()
        if task is None:
            raise _worker.Cancelled("nobody waits for this call any more")
        return task.result()


def _run_elsewhere(awaitable):
    replies = []
    errand = _Errand(awaitable, replies)
    _worker.set_canceller(errand.cancel)
    try:
        return _settled(errand.result(), replies)
    except asyncio.CancelledError:
        if _call_cancelled():
            raise _worker.Cancelled("nobody waits for this call any more") from None
        raise
    finally:
        _worker.set_canceller(None)


# ---- streams, and the end ----


def iterate(source):
    """The items of an async iterator, as a plain generator. Closing it closes the
    source, so that its finally blocks run."""
    iterator = source.__aiter__() if hasattr(type(source), "__aiter__") else source
    try:
        while True:
            try:
                item = run(iterator.__anext__())
            except StopAsyncIteration:
                return
            yield item
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            run(close())


def _stop_turning():
    global _keeper
    keeper, _keeper = _keeper, None
    if keeper is not None:
        _loop.call_soon_threadsafe(_loop.stop)
        keeper.join()


def close():
    """End what is left on the loop, and the loop."""
    if _loop is None or _loop.is_closed():
        return
    _stop_turning()
    tasks = asyncio.all_tasks(_loop)
    for task in tasks:
        task.cancel()
    if tasks:
        _loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    _loop.run_until_complete(_loop.shutdown_asyncgens())
    _loop.close()
