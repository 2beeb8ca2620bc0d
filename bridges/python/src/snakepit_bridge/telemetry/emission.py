# SPDX-License-Identifier: MIT
"""Where events go, and the one function that sends them there."""

from .. import _worker
from . import correlation
from .backends import WorkerBackend

_worker_backend = WorkerBackend()
_backend = _worker_backend


def get_backend():
    """Where events go: the worker's own stream, unless another one was set."""
    return _backend


def set_backend(backend):
    """From now on events go to `backend`; None: to the worker's own stream again."""
    global _backend
    _backend = _worker_backend if backend is None else backend


def is_enabled():
    """Whether somebody listens, as far as the backend can say."""
    if _backend is _worker_backend:
        return _worker.listens()
    ask = getattr(_backend, "is_enabled", None)
    return True if ask is None else bool(ask())


def is_wanted(event):
    """Whether somebody wants events of this name, as far as the backend can say."""
    return _worker.wants(event) if _backend is _worker_backend else is_enabled()


def dropped_count():
    """Events of this worker that listeners have lost because they did not read."""
    return _worker.events_dropped()


def emit(event, measurements=None, metadata=None, correlation_id=None):
    """Report an event.

    event           its name, parts with dots between: "model.loaded"
    measurements    a dict of figures: numbers, booleans, texts
    metadata        a dict of facts, which become texts
    correlation_id  None: that of the span or call this is a part of
    """
    if is_wanted(event):
        send(event, measurements, metadata, correlation_id)


def send(event, measurements, metadata, correlation_id, mark=None):
    """The same when somebody listens. An event of a span has its mark, 0 at first: that of
    further ones is given, which reach the same listeners."""
    if correlation_id is None:
        correlation_id = correlation.get_correlation_id()
    span = correlation.current_span()
    if span is not None:
        metadata = {**(metadata or {})}
        metadata.setdefault("trace_id", span[0])
        metadata.setdefault("span_id", span[1])
    if _backend is _worker_backend:
        return _worker.emit(event, measurements, metadata, correlation_id, mark)
    try:
        _backend.emit(event, measurements or {}, metadata, correlation_id)
    except Exception:
        pass  # who reports must not fail because nobody could be told
    return mark
