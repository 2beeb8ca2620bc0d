# SPDX-License-Identifier: MIT
"""What exceptions of NumPy and PyTorch are about: shapes, types, devices, memory.

Both libraries say so in the message, NumPy in a few cases in attributes too. A row of the
table is a form of message; what its named groups find becomes the facts. Messages that no
row knows are left as they are.
"""

import re

_SHAPE = "shape_mismatch"
_DIMENSIONS = "dimension_mismatch"
_DTYPE = "dtype_mismatch"
_DEVICE = "device_mismatch"
_MEMORY = "out_of_memory"


def _shape(name):
    """A pattern of (2,3) or [2, 3], named."""
    return rf"[(\[](?P<{name}>[\d, ]*)[)\]]"


# (kind, library, operation or None, pattern)
_ROWS = (
    # ---- NumPy ----
    (
        _SHAPE,
        "numpy",
        "broadcast",
        rf"operands could not be broadcast together with shapes {_shape('expected')} "
        rf"{_shape('got')}",
    ),
    (
        _SHAPE,
        "numpy",
        "dot",
        rf"shapes {_shape('expected')} and {_shape('got')} not aligned: "
        r"\d+ \(dim (?P<dimension>\d+)\)",
    ),
    (
        _SHAPE,
        "numpy",
        None,
        r"(?P<operation>\w+): Input operand \d+ has a mismatch in its core dimension "
        r"(?P<dimension>\d+), .*\(size (?P<got>\d+) is different from "
        r"(?P<expected>\d+)\)",
    ),
    (
        _SHAPE,
        "numpy",
        "reshape",
        rf"cannot reshape array of size (?P<got>\d+) into shape {_shape('expected')}",
    ),
    (
        _SHAPE,
        "numpy",
        "assign",
        rf"could not broadcast input array from shape {_shape('got')} into shape "
        rf"{_shape('expected')}",
    ),
    (
        _SHAPE,
        "numpy",
        "concatenate",
        r"all the input array dimensions .* along dimension (?P<dimension>\d+), the "
        r"array at index \d+ has size (?P<expected>\d+) and the array at index \d+ has "
        r"size (?P<got>\d+)",
    ),
    (
        _DIMENSIONS,
        "numpy",
        "concatenate",
        r"all the input arrays must have same number of dimensions, but the array at "
        r"index \d+ has (?P<expected>\d+) dimension\(s\) and the array at index \d+ has "
        r"(?P<got>\d+) dimension",
    ),
    (_SHAPE, "numpy", "stack", r"all input arrays must have the same shape"),
    (
        _DTYPE,
        "numpy",
        "cast",
        r"Cannot cast array data from dtype\('(?P<got>[^']+)'\) to "
        r"dtype\('(?P<expected>[^']+)'\)",
    ),
    (
        _DTYPE,
        "numpy",
        None,
        r"Cannot cast ufunc '(?P<operation>\w+)' \w+(?: \d+)? from "
        r"dtype\('(?P<got>[^']+)'\) to dtype\('(?P<expected>[^']+)'\)",
    ),
    (
        _DTYPE,
        "numpy",
        None,
        r"ufunc '(?P<operation>\w+)' (?:did not contain a loop with signature matching "
        r"types|not supported for the input types)",
    ),
    (
        _DIMENSIONS,
        "numpy",
        None,
        r"axis (?P<got>-?\d+) is out of bounds for array of dimension (?P<expected>\d+)",
    ),
    # ---- PyTorch ----
    (
        _DIMENSIONS,
        "torch",
        None,
        r"Dimension out of range \(expected to be in range of "
        r"(?P<expected>\[-?\d+, -?\d+\]), but got (?P<got>-?\d+)\)",
    ),
    (
        _SHAPE,
        "torch",
        "broadcast",
        r"The size of tensor a \((?P<expected>\d+)\) must match the size of tensor b "
        r"\((?P<got>\d+)\) at non-singleton dimension (?P<dimension>\d+)",
    ),
    (
        _SHAPE,
        "torch",
        "matmul",
        r"mat1 and mat2 shapes cannot be multiplied \((?P<expected>\d+x\d+) and "
        r"(?P<got>\d+x\d+)\)",
    ),
    (
        _SHAPE,
        "torch",
        "reshape",
        rf"shape '{_shape('expected')}' is invalid for input of size (?P<got>\d+)",
    ),
    (
        _SHAPE,
        "torch",
        "cat",
        r"Sizes of tensors must match except in dimension (?P<dimension>\d+)\. "
        r"(?:Expected size|Got) (?P<expected>\d+) (?:but got size|and) (?P<got>\d+)",
    ),
    (
        _SHAPE,
        "torch",
        "stack",
        rf"stack expects each tensor to be equal size, but got {_shape('expected')} at "
        rf"entry \d+ and {_shape('got')} at entry",
    ),
    (
        _SHAPE,
        "torch",
        "conv",
        r"expected input\[[\d, ]*\] to have (?P<expected>\d+) channels, but got "
        r"(?P<got>\d+) channels",
    ),
    (
        _DEVICE,
        "torch",
        None,
        r"Expected all tensors to be on the same device, but found at least two devices, "
        r"(?P<expected>[\w:]+) and (?P<got>[\w:]+)",
    ),
    (
        _DEVICE,
        "torch",
        None,
        r"Input type \((?P<got>torch\.cuda\.\w+)\) and weight type "
        r"\((?P<expected>torch\.[A-Z]\w+)\) should be the same",
    ),
    (
        _DEVICE,
        "torch",
        None,
        r"Input type \((?P<got>torch\.[A-Z]\w+)\) and weight type "
        r"\((?P<expected>torch\.cuda\.\w+)\) should be the same",
    ),
    (
        _DTYPE,
        "torch",
        None,
        r"expected scalar type (?P<expected>\w+) but found (?P<got>\w+)",
    ),
    (
        _DTYPE,
        "torch",
        "matmul",
        r"expected m1 and m2 to have the same dtype, but got: (?P<expected>[\w ]+) != "
        r"(?P<got>[\w ]+)",
    ),
    (
        _DTYPE,
        "torch",
        "matmul",
        r"mat1 and mat2 must have the same dtype, but got (?P<expected>\w+) and "
        r"(?P<got>\w+)",
    ),
    (
        _MEMORY,
        "torch",
        "allocate",
        r"(?P<backend>CUDA|HIP|MPS|XPU)(?: backend)? out of memory.*?Tried to allocate "
        r"(?P<requested>[\d.]+ [KMGT]?i?B)",
    ),
    (
        _MEMORY,
        "torch",
        "allocate",
        r"DefaultCPUAllocator: (?:can't allocate memory|not enough memory): you tried to "
        r"allocate (?P<requested>\d+) bytes",
    ),
)
_FREE = re.compile(r"(?P<free>[\d.]+ [KMGT]?i?B)(?: is)? free")
_GPU = re.compile(r"GPU (?P<number>\d+)")
_PREFIXES = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}

_compiled = None


def _rows():
    global _compiled
    if _compiled is None:
        _compiled = [(*row[:3], re.compile(row[3], re.DOTALL)) for row in _ROWS]
    return _compiled


def _dimensions(text):
    """"(2, 3)", "2,3" and "2x3" as [2, 3]; other texts as they are."""
    bare = text.strip("[], ")
    if bare == "":
        return []
    try:
        return [int(number) for number in re.split(r"[,x ]+", bare)]
    except ValueError:
        return text


def _bytes(text):
    """"20.00 MiB" as a number. What is written MB by one of them is 2**20 too."""
    number, _, unit = text.partition(" ")
    return int(float(number) * 1024 ** _PREFIXES[unit.rstrip("iB")])


def _device_of(backend, message):
    if backend is None:
        return "cpu"
    gpu = _GPU.search(message)
    name = "cuda" if backend == "HIP" else backend.lower()
    return f"{name}:{gpu['number']}" if gpu else name


def _memory_facts(found, message):
    requested = found["requested"]
    facts = {"device": _device_of(found.get("backend"), message)}
    facts["requested_bytes"] = (
        int(requested) if requested.isdigit() else _bytes(requested)
    )
    free = _FREE.search(message)
    if free:
        facts["available_bytes"] = _bytes(free["free"])
    return facts


def _mismatch_facts(kind, found):
    facts = {}
    for name in ("expected", "got"):
        text = found.get(name)
        if text is not None:
            is_shape = kind in (_SHAPE, _DIMENSIONS)
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
            if kind == _MEMORY
            else _mismatch_facts(kind, found)
        )
        operation = found.get("operation") or operation
        if operation:
            facts["operation"] = operation
        if found.get("dimension"):
            facts["dimension"] = int(found["dimension"])
        dtypes = getattr(exception, "dtypes", None)  # NumPy's, of the operands
        if kind == _DTYPE and "got" not in facts and isinstance(dtypes, tuple):
            facts["got"] = ", ".join(str(each) for each in dtypes if each is not None)
        return facts
    return None


def _of_memory_error(exception):
    """NumPy's MemoryError has the shape and the type; a plain one nothing."""
    facts = {"kind": _MEMORY, "device": "cpu", "operation": "allocate"}
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
        facts = {"kind": _MEMORY, "library": "torch", "operation": "allocate"}
    return facts
