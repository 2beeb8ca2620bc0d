# SPDX-License-Identifier: MIT
"""Asynchronous tools whose calls overlap in one worker: for test_overlap.py."""

import asyncio
import os
import threading
import time
from pathlib import Path

from snakepit_bridge import BaseAdapter, current, tool

DEADLINE = 60.0


class Overlapping(BaseAdapter):
    def __init__(self):
        super().__init__()
        self.meetings = {}
        self.notes = []
        self.loop = None
        self.trace = None

    async def initialize(self):
        self.loop = asyncio.get_running_loop()

    def cleanup(self):
        if self.trace is not None:
            Path(self.trace, str(os.getpid())).touch()

    @tool()
    def leave_trace(self, folder: str):
        """The process that cleans up leaves its number there."""
        self.trace = folder
        return os.getpid()

    @tool()
    async def meet(self, name: str, parties: int):
        """Ends only when as many calls are in it at the same time."""
        session = current().session_id
        waiting = self.meetings.setdefault(name, [])
        mine = asyncio.get_running_loop().create_future()
        waiting.append(mine)
        if len(waiting) == parties:
            for future in waiting:
                future.set_result(None)
        await asyncio.wait_for(mine, DEADLINE)
        assert current().session_id == session
        return session

    @tool()
    async def is_the_same_loop(self):
        return asyncio.get_running_loop() is self.loop

    @tool()
    async def open_gate(self, name: str):
        """Lets those go on that wait at the gate."""
        for future in self.meetings.pop(name):
            future.set_result(None)

    @tool()
    async def pass_gate(self, name: str, hold: str = ""):
        """Ends when the gate is opened; with `hold` it first holds up the loop until that
        file is there."""
        mine = asyncio.get_running_loop().create_future()
        self.meetings.setdefault(name, []).append(mine)
        self.notes.append(f"{name} has {len(self.meetings[name])}")
        await asyncio.wait_for(mine, DEADLINE)
        ends = time.monotonic() + DEADLINE
        while hold and not Path(hold).exists() and time.monotonic() < ends:
            time.sleep(0.005)
        return not hold or Path(hold).exists()

    @tool()
    def hold_up(self, here: str):
        """No coroutine: says that it is here, and holds up the loop until cancelled."""
        with open(here, "a", encoding="ascii") as notes:
            notes.write("held up\n")
        time.sleep(DEADLINE)

    @tool()
    async def make_eager(self):
        """Tasks begin at once where they are made, as asyncio.eager_task_factory has it."""

        def eager(loop, coroutine, **rest):
            first = coroutine.send(None)
            raise RuntimeError(f"begun at once, and it waits for {first}")

        asyncio.get_running_loop().set_task_factory(eager)

    @tool()
    async def fork(self):
        """The child comes back into the loop; how it ended is the answer."""
        child = os.fork()
        return os.waitpid(child, 0)[1] if child else None

    @tool()
    async def sleep(self, seconds: float):
        await asyncio.sleep(seconds)
        return seconds

    @tool()
    async def sleep_long(self, name: str):
        self.notes.append(f"{name} begins")
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            self.notes.append(f"{name} is cancelled")
            raise

    @tool()
    def noted(self):
        return self.notes

    @tool()
    async def fails(self):
        await asyncio.sleep(0)
        raise KeyError("what is not there")

    @tool()
    def plain(self, value):
        """No coroutine: what asks the host waits for the answer."""
        return [value, current().call_host_tool("double", x=value)]

    @tool()
    def own_loop(self, value):
        async def work():
            return value

        return asyncio.run(work())

    @tool()
    async def ask(self, name: str, count: int):
        context = current()
        for i in range(count):
            assert await context.call_host_tool("double", x=i) == 2 * i
            context[name] = i
        return await context.get_variable(name, bypass_cache=True)

    @tool()
    async def ask_wrong(self):
        current().call_host_tool("no such tool")
        return "not looked at"

    @tool()
    async def elsewhere(self):
        return await asyncio.to_thread(
            lambda: [current().session_id, threading.current_thread().name]
        )

    @tool()
    async def count(self, to: int, width: int = 1):
        for i in range(to):
            await asyncio.sleep(0)
            yield {"i": i, "fill": "x" * width}

    @tool()
    def count_plainly(self, to: int):
        yield from range(to)

    @tool()
    async def later(self, to: int):
        await asyncio.sleep(0)
        return self.count(to)

    @tool()
    async def stay(self, name: str):
        try:
            while True:
                yield name
                await asyncio.sleep(0)
        finally:
            self.notes.append(f"{name} is closed")
