# SPDX-License-Identifier: MIT
"""Coroutines of many calls on one event loop: the profile `process` with max_concurrency.

The loop is asyncio's own with a selector that, each time before it waits, lets the worker
run the calls that have come: what a tool gives at once is answered then, an awaitable
becomes a task with the call's context. A tool that is no coroutine holds up the others.
"""

import asyncio
import selectors
import sys
from asyncio import events
from contextvars import copy_context

from . import _async, _worker


class _Selector(selectors.DefaultSelector):
    """Serves the worker, once there is one."""

    worker = None
    loop = None

    def _run_ready(self):
        # A tool that is no coroutine is not in the loop: it may wait, or run its own.
        events._set_running_loop(None)
        try:
            return self.worker.run_ready()
        finally:
            events._set_running_loop(self.loop)

    def select(self, timeout=None):
        if self.worker is not None:
            ran = self._run_ready()
            if ran < 0:
                self.worker = None
                self.loop.stop()
            if ran != 0:
                timeout = 0
        return super().select(timeout)


def new_loop():
    """An event loop that can serve."""
    selector = _Selector()
    selector.loop = asyncio.SelectorEventLoop(selector)
    return selector.loop


def has_asynchronous(tools):
    """Whether any of the tools may give an awaitable or an async generator."""
    return tools.accepts_any or any(_is_async(tool.callable) for tool in tools.tools)


def _is_async(function):
    import inspect

    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def serve(worker, *how):
    """Run calls until the worker shall end."""
    loop = _async.event_loop()
    selector = loop._selector
    descriptor = worker.overlap(*how)
    try:
        loop.add_reader(descriptor, _wake)
        selector.worker = worker
        loop.run_forever()
    finally:
        selector.worker = None
        loop.remove_reader(descriptor)
        worker.overlap_end()


def _wake():
    """The loop looks for calls before it waits again; being awake is enough."""


# ---- tasks ----


def begin(pending, awaitable, call):
    """A task that ends the call, in a context of its own."""
    context = copy_context()
    context.run(_worker.call_var.set, call)
    # Not create_task(): a factory of the tool's may run it at once, before it is aside.
    task = context.run(asyncio.Task, _run(pending, awaitable), loop=_async.event_loop())

    def end_unbegun(task):
        # _run() lets no cancellation out: it never began, and nobody else ends the call.
        if task.cancelled():
            if asyncio.iscoroutine(awaitable):
                awaitable.close()
            pending.fail(asyncio.CancelledError())

    task.add_done_callback(end_unbegun)
    return task


def turn(pending, cancelled):
    """The task may go on, or nobody waits for it any more."""
    if cancelled:
        pending.task.cancel()
    waiter, pending.waiter = pending.waiter, None
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


async def _run(pending, awaitable):
    replies = []
    _async.unseen.set(replies)
    try:
        value = awaitable
        if hasattr(type(value), "__await__"):
            value = await value
        if pending.is_stream:
            await _stream(pending, value)
            await _settled(None, replies)
            pending.end()
        else:
            pending.finish(await _settled(value, replies))
    except BaseException as failure:
        trace = failure.__traceback__.tb_next  # without this frame
        pending.fail(failure.with_traceback(trace))


async def _settled(value, replies):
    """The plain value, once what was asked of the host meanwhile has been answered."""
    reply = sys.modules.get("snakepit_bridge._reply")
    return value if reply is None else await reply.settled(value, replies)


async def _send(pending, item):
    if not pending.chunk(item):
        pending.waiter = _async.event_loop().create_future()
        await pending.waiter


async def _stream(pending, source):
    """Each item as a chunk; closing the source when nobody listens."""
    if hasattr(type(source), "__aiter__"):
        iterator = source.__aiter__()
        try:
            async for item in iterator:
                await _send(pending, item)
        finally:
            close = getattr(iterator, "aclose", None)
            if close is not None:
                await close()
    elif hasattr(type(source), "__next__"):
        try:
            for item in source:
                await _send(pending, item)
        finally:
            close = getattr(source, "close", None)
            if close is not None:
                close()
    else:
        await _send(pending, source)
