# SPDX-License-Identifier: MIT
"""A stream's item that says more than its data."""


class StreamChunk:
    """One item of a stream.

    data      any value; a dict arrives as it is, with "is_final" added
    is_final  whether the tool considers the stream complete with this item; the stream
              itself ends when its generator does
    metadata  str to str; arrives in the dict under "_metadata"
    """

    __slots__ = ("data", "is_final", "metadata")

    def __init__(self, data=None, is_final=False, metadata=None):
        self.data = data
        self.is_final = is_final
        self.metadata = metadata

    def __repr__(self):
        return f"StreamChunk({self.data!r}, is_final={self.is_final!r})"
