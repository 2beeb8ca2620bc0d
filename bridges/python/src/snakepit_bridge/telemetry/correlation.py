# SPDX-License-Identifier: MIT
"""Which call, and which span of its trace, the code that runs now belongs to.

Both follow the code into coroutines and into threads that copy the context. A call's own
come with its metadata: `x-snakepit-correlation-id` and `traceparent`.
"""

import contextvars
import logging
import os

from .. import _worker

CORRELATION_HEADER = "x-snakepit-correlation-id"
_TRACEPARENT = "traceparent"

_id = contextvars.ContextVar("snakepit_correlation_id", default=None)
_span = contextvars.ContextVar("snakepit_span", default=None)  # (trace_id, span_id)


def new_correlation_id():
    """A new one: 32 hexadecimal digits."""
    return os.urandom(16).hex()


def set_correlation_id(correlation_id):
    """Set the one of the code that runs now; a token for reset_correlation_id()."""
    return _id.set(correlation_id)


def reset_correlation_id(token):
    """Undo set_correlation_id()."""
    _id.reset(token)


def _of_call(key):
    call = _worker.current()
    return None if call is None else call.metadata.get(key)


def get_correlation_id(default=None):
    """The one that was set, else that of the running call, else `default`."""
    found = _id.get()
    if found is None:
        found = _of_call(CORRELATION_HEADER)
    return default if found is None else found


def current_span():
    """(trace_id, span_id) of the span this code runs in, or None."""
    return _span.get()


def enter_span(trace_id, span_id):
    """The code that runs now is in a span; a token for leave_span()."""
    return _span.set((trace_id, span_id))


def leave_span(token):
    """Undo enter_span()."""
    _span.reset(token)


def parent_of_span():
    """(trace_id, span_id) that a new span is inside of; a new trace and "" outside."""
    inside = _span.get()
    if inside is not None:
        return inside
    parts = (_of_call(_TRACEPARENT) or "").split("-")
    if len(parts) == 4 and len(parts[1]) == 32 and len(parts[2]) == 16:
        return parts[1], parts[2]
    return os.urandom(16).hex(), ""


def outgoing_metadata(initial=None):
    """What to send along with a call of one's own: `initial`, a dict or pairs, and the
    correlation id, as a list of pairs."""
    pairs = list(initial.items() if hasattr(initial, "items") else initial or ())
    found = get_correlation_id()
    if found is not None and all(key != CORRELATION_HEADER for key, _ in pairs):
        pairs.append((CORRELATION_HEADER, found))
    return pairs


class _Filter(logging.Filter):
    def filter(self, record):
        record.correlation_id = get_correlation_id("-")
        return True


def correlation_filter():
    """A logging filter that gives each record its `correlation_id`."""
    return _Filter()
