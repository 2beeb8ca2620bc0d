# SPDX-License-Identifier: MIT
"""What is measured: `add` as every peer runs it, streams, arrays, a wait."""

import time

from snakepit_bridge import BaseAdapter, tool


class Bench(BaseAdapter):
    """Tools that do next to nothing."""

    @tool(supports_streaming=True)
    def numbers(self, count: int):
        """Send {"i": 0}, {"i": 1} ... as fast as they can be made."""
        for i in range(count):
            yield {"i": i}

    @tool
    def number(self, i: int):
        """What a chunk of `numbers` is, as the answer of a call."""
        return {"i": i}

    @tool(supports_streaming=True)
    def moments(self, count: int, pause_us: int):
        """Chunks with a pause between them: each tells when it was made."""
        for _ in range(count):
            end = time.monotonic_ns() + pause_us * 1000
            while time.monotonic_ns() < end:
                pass
            yield {"made": time.monotonic_ns()}

    @tool
    def wait(self, path: str):
        """Answer when somebody has opened this pipe for writing, and closed it."""
        with open(path, "rb") as pipe:
            pipe.read()

    @tool
    def add(self, a: int, b: int):
        return {"result": a + b}

    # ---- arrays ----

    made = {}

    def ramp(self, count):
        """The array that arrays.c expects, made once."""
        import numpy

        if count not in self.made:
            self.made[count] = numpy.arange(count) * 0.37 + 0.1
        return self.made[count]

    @tool
    def take(self, x):
        """Take an array, or a list where it is small."""
        return float(x[-1])

    @tool
    def give(self, count):
        return self.ramp(count)

    @tool
    def take_list(self, x):
        import numpy

        return float(numpy.asarray(x)[-1])

    @tool
    def give_list(self, count):
        return self.ramp(count).tolist()
