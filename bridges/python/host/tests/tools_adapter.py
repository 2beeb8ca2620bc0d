# SPDX-License-Identifier: MIT
"""The tools that the tests call."""

import os
import time

from snakepit_bridge import BaseAdapter, tool


class Adapter(BaseAdapter):
    @tool
    def add(self, a: int, b: int = 1):
        return a + b

    @tool
    def echo(self, value=None):
        return value

    @tool
    def square(self, value):
        return value * value

    @tool
    def options(self, timeout, session):
        """Arguments named as options are."""
        return [timeout, session]

    @tool
    def pid(self):
        return os.getpid()

    @tool
    def hold(self, path):
        """Say that it runs, then go on when the test says so."""
        with open(path + ".held", "wb"):
            pass
        while not os.path.exists(path + ".go"):
            time.sleep(0.002)
        return "released"

    @tool
    def hold_or_echo(self, path=None, value=None):
        return value if path is None else self.hold(path)

    @tool
    def fail(self, message="it failed"):
        raise ValueError(message)

    @tool
    def fail_because(self):
        try:
            {}["because"]
        except KeyError as reason:
            raise ValueError("it failed") from reason

    @tool
    def fail_to_add(self, rows):
        import numpy

        return numpy.ones((rows, 3)) + numpy.ones((2, 4))

    @tool
    def fail_if_odd(self, value):
        if value % 2:
            raise ValueError(f"{value} is odd")
        return value

    @tool
    def end(self):
        os._exit(3)

    @tool
    def total(self, array):
        """The type of what came, and its sum."""
        return [type(array).__name__, float(sum(memoryview(array).cast("B")))]

    @tool
    def zeros(self, size: int):
        import numpy

        return {"array": numpy.zeros(size), "size": size}

    @tool
    def raw(self, size: int):
        return b"x" * size

    @tool
    def numbers(self, count):
        for i in range(count):
            yield i

    @tool
    def watched(self, path):
        """Chunks without end; tells when it is closed."""
        try:
            i = 0
            while True:
                yield i
                i += 1
        finally:
            with open(path, "wb"):
                pass

    @tool
    def ask(self, tool, arguments=None):
        """What a tool of the program answers."""
        return self.session_context.call_elixir_tool(tool, **(arguments or {}))

    @tool
    def hold_chunks(self, tool, path):
        """Take the first chunk of a streaming tool of the program, then hold."""
        chunks = iter(self.session_context.stream_host_tool(tool))
        return [len(next(chunks)), self.hold(path)]

    @tool
    def read(self, name):
        return self.session_context[name]
