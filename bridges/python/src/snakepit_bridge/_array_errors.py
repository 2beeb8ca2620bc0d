# SPDX-License-Identifier: MIT
"""What exceptions of NumPy and PyTorch are about: shapes, types, devices, memory.

Both libraries say so in the message, NumPy in a few cases in attributes too. Messages that
no row of the table (_array_messages.py) knows are left as they are.
"""

import re

from ._array_messages import DIMENSIONS, DTYPE, MEMORY, ROWS, SHAPE, SIZE

_FREE = re.compile(rf"(?P<free>{SIZE})(?: is)? free")
_GPU = re.compile(r"GPU (?P<number>\d+)")
_PREFIXES = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}

_compiled = None


def _rows():
    global _compiled
    if _compiled is None:
        _compiled = [(*row[:3], re.compile(row[3], re.DOTALL)) for row in ROWS]
    return _compiled


def _dimensions(text):
    """"(2, 3)", "2,3", "2x3" and "2 by 3" as [2, 3]; other texts as they are."""
    bare = text.strip("[], ")
    if bare == "":
        return []
    try:
        return [int(number) for number in re.split(r" by |[,x ]+", bare)]
    except ValueError:
        return text


def _bytes(text):
    """"20.00 MiB" as a number. What is written MB by one of them is 2**20 too."""
    number, _, unit = text.partition(" ")
    prefix = "" if unit == "bytes" else unit.rstrip("iB")
    return int(float(number) * 1024 ** _PREFIXES[prefix])


def _device_of(backend, message):
    if backend is None:
        return "cpu"
    gpu = _GPU.search(message)
    name = "cuda" if backend == "HIP" else backend.lower()
    return f"{name}:{gpu['number']}" if gpu else name


def _memory_facts(found, message):
    facts = {"device": _device_of(found.get("backend"), message)}
    if found.get("requested"):
        facts["requested_bytes"] = _bytes(found["requested"])
    free = _FREE.search(message)
    if free:
        facts["available_bytes"] = _bytes(free["free"])
    return facts


def _mismatch_facts(kind, found):
    facts = {}
    for name in ("expected", "got"):
        text = found.get(name)
        if text is not None:
            is_shape = kind in (SHAPE, DIMENSIONS)
            facts[name] = _dimensions(text) if is_shape else text
    return facts


def _of_message(exception, message):
    for kind, library, operation, pattern in _rows():
        match = pattern.search(message)
        if match is None:
            continue
        found = match.groupdict()
        facts = {"kind": kind, "library": library}
        facts.update(
            _memory_facts(found, message)
            if kind == MEMORY
            else _mismatch_facts(kind, found)
        )
        operation = found.get("operation") or operation
        if operation:
            facts["operation"] = operation
        if found.get("dimension"):
            facts["dimension"] = int(found["dimension"])
        dtypes = getattr(exception, "dtypes", None)  # NumPy's, of the operands
        if kind == DTYPE and "got" not in facts and isinstance(dtypes, tuple):
            facts["got"] = ", ".join(str(each) for each in dtypes if each is not None)
        return facts
    return None


def _of_memory_error(exception):
    """NumPy's MemoryError has the shape and the type; a plain one nothing."""
    facts = {"kind": MEMORY, "device": "cpu", "operation": "allocate"}
    shape, dtype = getattr(exception, "shape", None), getattr(exception, "dtype", None)
    if isinstance(shape, tuple) and hasattr(dtype, "itemsize"):
        requested = dtype.itemsize
        for length in shape:
            requested *= length
        facts.update(library="numpy", requested_bytes=int(requested))
    return facts


def recognise(exception):
    """The facts, by the names of sp_error.remote_details; None when there are none."""
    if isinstance(exception, MemoryError):
        return _of_memory_error(exception)
    facts = _of_message(exception, str(exception))
    if facts is None and type(exception).__name__ == "OutOfMemoryError":
        facts = {"kind": MEMORY, "library": "torch", "operation": "allocate"}
    return facts
