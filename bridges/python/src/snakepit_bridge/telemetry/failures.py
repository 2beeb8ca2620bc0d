# SPDX-License-Identifier: MIT
"""Events about exceptions that leave a tool.

    python.error.occurred       count
    python.exception.mapped     what it is about is known: python_type, library, function
    python.exception.unmapped   it is not: the same
    error.shape_mismatch        of an array library: expected, got, operation, dimension
    error.dimension_error       the same of numbers of dimensions,
    error.dtype_mismatch        types of elements
    error.device                and devices
    error.oom                   requested_bytes, available_bytes; device
"""

import json

from . import emission

_EVENTS = {
    "shape_mismatch": "error.shape_mismatch",
    "dimension_mismatch": "error.dimension_error",
    "dtype_mismatch": "error.dtype_mismatch",
    "device_mismatch": "error.device",
    "out_of_memory": "error.oom",
}
_FIGURES = ("requested_bytes", "available_bytes")


def _place_of(exception):
    """(package, function) where it was raised."""
    trace = exception.__traceback__
    if trace is None:
        return "", ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    frame = trace.tb_frame
    module = frame.f_globals.get("__name__") or ""
    return module.partition(".")[0], frame.f_code.co_name


def report(exception, kind, details):
    """Tell of an exception that is about to be told to its caller.

    kind     the name of its class
    details  what is known of it, as JSON (snakepit/error.h); or None
    """
    library, function = _place_of(exception)
    facts = json.loads(details) if details is not None else {}
    name = _EVENTS.get(facts.pop("kind", None))
    facts.pop("causes", None)
    emission.emit("python.error.occurred", {"count": 1}, {"python_type": kind})
    emission.emit(
        "python.exception." + ("unmapped" if name is None else "mapped"),
        None,
        {"python_type": kind, "library": library, "function": function},
    )
    if name is not None:
        figures = {key: facts.pop(key) for key in _FIGURES if key in facts}
        emission.emit(name, figures, facts)
