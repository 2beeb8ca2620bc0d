# SPDX-License-Identifier: MIT
"""Tools that take and give arrays."""

import array
import ctypes
import sys

from snakepit_bridge import BaseAdapter, tool

try:
    import numpy
except ImportError:
    numpy = None


def told(value):
    """What somebody outside must know of a value to be sure that it arrived."""
    if numpy is not None and isinstance(value, numpy.ndarray):
        return {"type": "ndarray", "dtype": value.dtype.str, "shape": list(value.shape),
                "sum": float(value.real.sum()), "aligned": bool(value.flags.aligned),
                "writeable": bool(value.flags.writeable), "owns": value.base is None}
    if isinstance(value, memoryview):
        return {"type": "memoryview", "format": value.format,
                "shape": list(value.shape), "sum": sum(value.cast("B").tolist())}
    if isinstance(value, (bytes, list)):
        return {"type": type(value).__name__, "shape": [len(value)]}
    return {"type": type(value).__name__}


class Lender:
    """An array of another library: it speaks DLPack and nothing else."""

    def __init__(self, held):
        self.held = held

    def __dlpack__(self, **how):
        return self.held.__dlpack__(**how)

    def __dlpack_device__(self):
        return self.held.__dlpack_device__()


class Arrays(BaseAdapter):
    def __init__(self):
        super().__init__()
        self.kept = {}

    @tool
    def tell(self, **values):
        return {name: told(value) for name, value in values.items()}

    @tool
    def tell_nested(self, values):
        return [told(values["list"][0]), told(values["list"][1]["deep"])]

    @tool
    def tell_first(self, first, **others):
        return [told(first), {name: told(value) for name, value in others.items()}]

    @tool
    def give_back(self, x):
        return x

    @tool
    def scaled(self, x, factor=2):
        return {"was": float(x.sum()), "now": [x * factor, (x > 0)], "none": []}

    @tool
    def ramp(self, elements, dtype="<f8", shape=None, order="C"):
        result = numpy.arange(elements).astype(dtype)
        if shape is not None:
            result = result.reshape(shape, order=order)
        return result

    @tool
    def lent(self, elements):
        return {"array": array.array("d", range(elements)),
                "dlpack": Lender(numpy.arange(elements, dtype="i4")),
                "view": memoryview(array.array("H", range(elements)))[::2],
                "bytes": b"\1" * elements}

    @tool
    def objects(self, elements):
        return numpy.array([str(i) for i in range(elements)], dtype=object)

    @tool
    def dates(self, elements):
        return numpy.arange(elements).astype("M8[D]")

    @tool
    def keep(self, x):
        """Hold an array beyond its call."""
        self.kept["x"] = x
        return None

    @tool
    def kept_sum(self):
        return float(self.kept["x"].sum())

    @tool
    def drop(self):
        self.kept.clear()
        return None

    @tool
    def forget_numpy(self):
        global numpy
        numpy = sys.modules["numpy"] = None
        return None

    @tool
    def slices(self, count, elements):
        for i in range(count):
            yield {"i": i, "x": numpy.full(elements, i, dtype="f4")}

    @tool
    def echo_stream(self, x, count):
        for _ in range(count):
            yield x

    # ---- the memory that host and worker share ----

    @tool
    def where(self, x):
        """Whether an array lies in it."""
        start, end, _ = shared_mapping()
        address = x.__array_interface__["data"][0]
        return {"shared": start <= address < end, "aligned": bool(x.flags.aligned)}

    @tool
    def places(self):
        """What its first page says, as src/wire/arena.h has it."""
        start, _, _ = shared_mapping()
        head = (ctypes.c_uint32 * 1024).from_address(start)
        side = 1 + 2 * 64  # a count of puts, and state and stream of 64 places
        down, up = 5, 5 + side  # behind two 64-bit sizes and a flag
        states = [*head[down + 1 : down + 65], *head[up + 1 : up + 65]]
        return {"held": sum(state != 0 for state in states), "puts": head[up]}


def shared_mapping():
    with open("/proc/self/maps", encoding="ascii") as maps:
        for line in maps:
            if "snakepit-memory" in line:
                ends, *_ = line.split()
                start, end = (int(end, 16) for end in ends.split("-"))
                return start, end, line
    return 0, 0, ""
