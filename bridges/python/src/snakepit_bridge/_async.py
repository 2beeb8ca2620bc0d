# SPDX-License-Identifier: MIT
"""Coroutines and async generators of tools, on one event loop that lives as long as the
worker, so that what a tool opened on it (a client, a connection) stays usable.

The loop turns only while a call waits on it. A cancelled call cancels its task, so the
coroutine sees asyncio.CancelledError at its next await; one that blocks instead is
interrupted like any other tool.
"""

import asyncio
import sys

from . import _worker

_loop = None


def event_loop():
    """The loop, made when it is first needed."""
    global _loop
    if _loop is None or _loop.is_closed():
        _loop = asyncio.new_event_loop()
        asyncio.set_event_loop(_loop)
    return _loop


async def _await(awaitable):
    return await awaitable


def _call_cancelled():
    call = _worker.current()
    return call is not None and call.cancelled()


def _settled(value, quiet=False):
    """The plain value, once what was asked of the host meanwhile has been answered."""
    reply = sys.modules.get("snakepit_bridge._reply")
    if reply is None:
        return value
    reply.settle(quiet)
    return reply.plain(value)


def run(awaitable):
    """Run an awaitable to its end on the loop."""
    loop = event_loop()
    task = loop.create_task(_await(awaitable))
    _worker.set_canceller(lambda: loop.call_soon_threadsafe(task.cancel))
    try:
        return _settled(loop.run_until_complete(task))
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


def close():
    """End what is left on the loop, and the loop."""
    if _loop is None or _loop.is_closed():
        return
    tasks = asyncio.all_tasks(_loop)
    for task in tasks:
        task.cancel()
    if tasks:
        _loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    _loop.run_until_complete(_loop.shutdown_asyncgens())
    _loop.close()
