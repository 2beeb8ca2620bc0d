# SPDX-License-Identifier: MIT
"""Tools of a worker whose threads run them at the same time: for test_threads.py."""

import asyncio
import sys
import threading

from snakepit_bridge import Cancelled, current

__thread_safe__ = True

DEADLINE = 60.0

_lock = threading.Lock()
_meetings = {}
_gates = {}
_notes = []


def _meeting(name, parties):
    with _lock:
        return _meetings.setdefault(name, threading.Barrier(parties))


def _gate(name):
    with _lock:
        return _gates.setdefault(name, threading.Event())


def note(text):
    with _lock:
        _notes.append(text)
        return list(_notes)


def notes():
    with _lock:
        return list(_notes)


def is_locked():
    return getattr(sys, "_is_gil_enabled", lambda: True)()


def echo(value):
    return value


def meet(name: str, parties: int):
    """Ends only when as many calls are in it at the same time."""
    session = current().session_id
    _meeting(name, parties).wait(DEADLINE)
    assert current().session_id == session
    return [threading.current_thread().name, session]


def open_gate(name: str):
    _gate(name).set()


def _compute(gate):
    # CPython's `try` does not cover the jump back of a loop in it, where an interruption
    # mostly strikes; it does cover the call of a function with the loop.
    while not gate.is_set():
        pass
    return "gate"


def spin(name: str):
    """Computes until it is cancelled, or its gate opens."""
    gate = _gate(name)
    try:
        note(f"{name} begins")
        return _compute(gate)
    except Cancelled:
        note(f"{name} is cancelled")
        raise


def ask(name: str, count: int):
    """Asks its host again and again."""
    context = current()
    for i in range(count):
        assert context.call_host_tool("double", x=i) == 2 * i
        context[name] = i
    return context.get_variable(name, bypass_cache=True)


def numbers(to: int, width: int = 1):
    for i in range(to):
        yield {"i": i, "fill": "x" * width}


def stay(name: str):
    """A stream that does not end by itself."""
    try:
        while True:
            yield name
    finally:
        note(f"{name} is closed")


async def meet_on_the_loop(name: str, parties: int):
    """The same, of coroutines: they wait for each other on one loop."""
    with _lock:
        waiting = _meetings.setdefault(name, [])
        waiting.append(asyncio.get_running_loop().create_future())
        mine = waiting[-1]
        if len(waiting) == parties:
            for future in waiting:
                future.set_result(None)
    await asyncio.wait_for(mine, DEADLINE)
    return [threading.current_thread().name, current().session_id]


async def sleep_long(name: str):
    try:
        note(f"{name} begins")
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        note(f"{name} is cancelled")
        raise


async def block(name: str):
    """A coroutine that does not let go of the loop until its gate opens."""
    note(f"{name} begins")
    _gate(name).wait(DEADLINE)
    return name


async def count(to: int):
    for i in range(to):
        await asyncio.sleep(0)
        yield i


def print_lines(name: str, count: int):
    for i in range(count):
        sys.stdout.write(f"{name} {i}\n")
    return count


def in_a_pool_of_its_own(ctx):
    """A thread that a tool starts by way of asyncio is in its call."""

    async def work():
        return await asyncio.to_thread(lambda: current().session_id)

    return asyncio.run(work())
