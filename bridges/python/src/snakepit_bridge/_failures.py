# SPDX-License-Identifier: MIT
"""What is told of an exception: its class, message and traceback as texts, and as JSON
what led to it and, of an array library's exception, what it is about.

The form of the JSON is that of sp_error.remote_details in snakepit/error.h. Loaded by the
first exception of a process, and shared by workers and by programs with tools.
"""

import json
import traceback

_CAUSES_MAX = 10
_TEXT_MAX = 4096  # of a cause's message and of its traceback
# What NumPy and PyTorch raise for what does not fit; and classes of their own.
_OF_ARRAYS = (ValueError, TypeError, IndexError, RuntimeError, MemoryError)


def clean(text):
    """Text that survives as a C string in UTF-8."""
    text = text.replace("\0", "\\0")
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def name_of(cls):
    """The name of a class, with its module unless it is built in."""
    if cls.__module__ == "builtins":
        return cls.__qualname__
    return f"{cls.__module__}.{cls.__qualname__}"


def message_of(exception):
    """What str() gives, or that it raised."""
    try:
        return clean(str(exception))
    except Exception as failure:
        return f"<str() of the exception raised {type(failure).__name__}>"


def _trace_of(exception):
    try:
        lines = traceback.format_exception(
            type(exception), exception, exception.__traceback__
        )
        return clean("".join(lines))
    except Exception as failure:
        return f"<no traceback: {type(failure).__name__}: {failure}>"


def describe(exception, with_trace):
    """(type, message, traceback or None, JSON or None) of an exception, as texts."""
    trace = details = None
    if with_trace:
        trace = _trace_of(exception)
        details = _details_of(exception)
    return name_of(type(exception)), message_of(exception), trace, details


# ---- what led to it ----


def _own_trace(exception):
    try:
        lines = traceback.format_tb(exception.__traceback__)
        return clean("".join(lines))[-_TEXT_MAX:]
    except Exception:
        return ""


def _as_cause(exception, link):
    told = {
        "link": link,
        "type": name_of(type(exception)),
        "message": message_of(exception)[:_TEXT_MAX],
    }
    trace = _own_trace(exception)
    if trace:
        told["traceback"] = trace
    return told


def _elsewhere(exception):
    """What was raised in another process, when this exception stands for it."""
    kind = getattr(exception, "remote_type", None)
    if not isinstance(kind, str):
        return []
    told = {"link": "cause", "type": kind, "message": message_of(exception)[:_TEXT_MAX]}
    trace = getattr(exception, "remote_traceback", None)  # of a worker's HostError
    if trace is None:
        trace = getattr(exception, "remote_trace", None)
    if isinstance(trace, str) and trace:
        told["traceback"] = clean(trace)[-_TEXT_MAX:]
    details = getattr(exception, "remote_details", None) or {}
    return [told, *details.get("causes", ())]


def _next(exception):
    """(exception, link) of the one before, or (None, "")."""
    if exception.__cause__ is not None:
        return exception.__cause__, "cause"
    if exception.__context__ is not None and not exception.__suppress_context__:
        return exception.__context__, "context"
    return None, ""


def causes_of(exception):
    """The chain of an exception, nearest first, and the members of a group."""
    found = [
        _as_cause(member, "member")
        for member in getattr(exception, "exceptions", ())
        if isinstance(member, BaseException)
    ]
    found += _elsewhere(exception)
    seen = {id(exception)}
    before, link = _next(exception)
    while before is not None and id(before) not in seen and len(found) < _CAUSES_MAX:
        seen.add(id(before))
        found.append(_as_cause(before, link))
        found += _elsewhere(before)
        before, link = _next(before)
    return found[:_CAUSES_MAX]


def _details_of(exception):
    """The JSON, or None when there is nothing more to say."""
    try:
        details = {}
        module = type(exception).__module__
        if isinstance(exception, _OF_ARRAYS) or module.startswith("numpy."):
            from . import _array_errors

            details.update(_array_errors.recognise(exception) or {})
        causes = causes_of(exception)
        if causes:
            details["causes"] = causes
        return json.dumps(details) if details else None
    except Exception:
        return None  # an exception whose own attributes raise: the texts must do
