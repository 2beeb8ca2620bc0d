# SPDX-License-Identifier: MIT
"""Pieces of Python that a test runs inside a worker, with the context of a call."""

import os

import peers

# Tools that run a piece, plain or as a coroutine, with the call's context as ctx.
TOOLS = '''
import asyncio, textwrap, traceback
from snakepit_bridge import *
from snakepit_bridge import current
import snakepit_bridge

def _body(head, code):
    names = {name: getattr(snakepit_bridge, name) for name in snakepit_bridge.__all__}
    names["asyncio"] = asyncio
    exec(head + " body(ctx):\\n" + textwrap.indent(textwrap.dedent(code), "    "), names)
    return names["body"]

def plain(code: str):
    try:
        return {"value": _body("def", code)(current())}
    except Exception:
        return {"raised": traceback.format_exc()}

async def coroutine(code: str):
    try:
        return {"value": await _body("async def", code)(current())}
    except Exception:
        return {"raised": traceback.format_exc()}

def count(ctx, to: int):
    for _ in range(to):
        ctx["x"] += 1
        yield ctx["x"]

def fails(code: str):
    return _body("def", code)(current())

async def fails_async(code: str):
    return await _body("async def", code)(current())
'''


class Session:
    """A session, and code that runs in its worker."""

    def __init__(self, pit, name):
        self.pit = pit
        self.name = name

    def run(self, code, tool="plain"):
        """What the code returns, run with ctx in the worker."""
        answer = self.pit.execute(tool, {"code": code}, self.name)
        assert "raised" not in answer, answer["raised"]
        return answer["value"]

    def run_async(self, code):
        return self.run(code, "coroutine")

    def set(self, name, value):
        self.pit.set(self.name, name, value)

    def value(self, name):
        return self.pit.variable(self.name, name)["value"]


class Gate:
    """A place in a worker's code at which it says so and waits."""

    def __init__(self, place):
        self._notes = peers.Notes(place / "notes")
        self._go = place / "go"
        os.mkfifo(self._go)
        self.WAIT = (
            f'open({str(place / "notes")!r}, "w").write("here\\n"); '
            f"open({str(self._go)!r}).read()"
        )

    def await_worker(self):
        self._notes.wait_for("here")

    def open(self):
        self._go.write_text("go")

    def close(self):
        self._notes.__exit__()
