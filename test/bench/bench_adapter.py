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
