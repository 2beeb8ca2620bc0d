# SPDX-License-Identifier: MIT
"""What the showcase has no tool for: many small chunks."""

from snakepit_bridge import BaseAdapter, tool


class Bench(BaseAdapter):
    """Streams for measuring."""

    @tool(supports_streaming=True)
    def numbers(self, count: int):
        """Send {"i": 0}, {"i": 1} ... as fast as they can be made."""
        for i in range(count):
            yield {"i": i}

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
