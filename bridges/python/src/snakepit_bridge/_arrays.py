# SPDX-License-Identifier: MIT
"""Arrays that come and go as bytes; loaded with the first one.

NumPy is used where it is installed and never asked for otherwise: without it an array is
a memoryview of its shape. Other array libraries are met through what they all speak, the
buffer protocol or DLPack, and are not imported here.
"""

import sys

BINARY_MIN_BYTES = 10240
# struct's letters for what memoryview can show; it knows no half and no complex numbers.
_FORMATS = {
    "|b1": "?", "|i1": "b", "|u1": "B", "<i2": "h", "<u2": "H", "<i4": "i", "<u4": "I",
    "<i8": "q", "<u8": "Q", "<f4": "f", "<f8": "d",
}  # fmt: skip


def _numpy():
    """NumPy, or None."""
    try:
        import numpy
    except ImportError:
        return None
    return numpy


def tensor(memory, dtype, shape):
    """An array over received bytes, not a copy of them. It is read-only. NotImplemented
    for what only NumPy has."""
    numpy = _numpy()
    if numpy is not None:
        return numpy.ndarray(shape, dtype=dtype, buffer=memory)
    letter = _FORMATS.get(dtype)
    if letter is None or sys.byteorder != "little":
        return NotImplemented
    view = memoryview(memory)
    if view.nbytes == 0:
        return view.cast(letter)  # memoryview has no shape with a zero in it
    return view.cast(letter, shape)


_KINDS = {
    **dict.fromkeys("bhilqn", "i"), **dict.fromkeys("BHILQN", "u"),
    **dict.fromkeys("efd", "f"), "?": "b",
}  # fmt: skip


def _is_little(view):
    if view.format[:1] in "@=":
        return sys.byteorder == "little"
    return view.format[:1] not in (">", "!") or view.itemsize == 1


def held(value):
    """(dtype, shape, bytes) of an array of real numbers of more than 10 KiB, as it is
    now; None for anything else."""
    if isinstance(value, (bytes, bytearray)):
        return None
    try:
        view = memoryview(value)
    except (TypeError, ValueError, BufferError):
        if not hasattr(type(value), "__dlpack__"):
            return None
        array = plain(value)
        if array is NotImplemented:
            return None
        view = memoryview(array)
    kind = _KINDS.get(view.format.lstrip("@=<>!"))
    if kind is None or view.nbytes <= BINARY_MIN_BYTES:
        return None
    if isinstance(value, memoryview) and view.format == "B" and view.ndim == 1:
        return None  # text or a file, not numbers
    if not _is_little(view):
        array = plain(value)
        if array is NotImplemented:
            return None
        view = memoryview(array)
    order = "|" if view.itemsize == 1 else "<"
    return f"{order}{kind}{view.itemsize}", view.shape, view.tobytes()


def lists(held_array):
    """What held() took, as nested lists."""
    dtype, shape, data = held_array
    return tensor(data, dtype, shape).tolist()


def value(data, dtype, shape, kind):
    """The value of a large tensor or embedding: a read-only array, and without NumPy
    what a small one is."""
    numpy = _numpy()
    if numpy is not None:
        return numpy.ndarray(shape, dtype=dtype, buffer=data)
    flat = memoryview(data).cast(_FORMATS[dtype]).tolist()
    return flat if kind == "embedding" else {"shape": list(shape), "data": flat}


def _from_dlpack(value):
    """An array of a library that speaks DLPack, as NumPy's."""
    numpy = _numpy()
    if numpy is None:
        return NotImplemented
    for name in ("detach", "cpu"):  # PyTorch: off the graph, off the card
        method = getattr(value, name, None)
        if callable(method):
            value = method()
    return numpy.from_dlpack(value)


def plain(value):
    """The array in C order and little endian; NotImplemented when it is small, or no
    array of numbers."""
    numpy = _numpy()
    array = value
    if isinstance(value, memoryview):
        if numpy is None:
            return memoryview(value.tobytes()).cast(value.format, value.shape)
        array = numpy.asarray(value)
    elif numpy is None or not isinstance(value, numpy.ndarray):
        try:
            array = _from_dlpack(value)
        except (TypeError, ValueError, RuntimeError, BufferError, AttributeError):
            return NotImplemented  # a dtype or device that does not lend itself
    if array is NotImplemented or array.nbytes <= BINARY_MIN_BYTES:
        return NotImplemented
    if array.dtype.hasobject or array.dtype.kind not in "biufc":
        return NotImplemented
    return numpy.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
