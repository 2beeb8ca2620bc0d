# SPDX-License-Identifier: MIT
"""Tool and StreamChunk, where adapters expect them."""

from ...stream_chunk import StreamChunk

__all__ = ["StreamChunk", "Tool"]


class Tool:
    """A function that knows its name."""

    __slots__ = ("name", "func")

    def __init__(self, func):
        self.func = func
        self.name = func.__name__

    def __call__(self, *args, **kwargs):
        return self.func(*args, **kwargs)

    def __repr__(self):
        return f"Tool({self.name})"
