# SPDX-License-Identifier: MIT
"""What a tool reports of its work: events with figures and facts, and spans.

    from snakepit_bridge import telemetry

    telemetry.emit("model.loaded", {"bytes": 4096}, {"name": "small"})

    with telemetry.span("inference", {"model": "small"}):
        ...                       # inference.start, then inference.stop with its duration

    @telemetry.span("embedding")
    def embed(text): ...

Events go to the host by the worker's telemetry stream, as the host wishes: it says which it
wants, and how many. While nobody listens an event costs a function call. One that nobody
reads is dropped and counted; a tool never waits for a listener.

Inside a call an event also says which tool and session it is of, and of which span of the
caller's trace (W3C Trace Context) it is a part.
"""

from .backends import TelemetryBackend
from .correlation import (
    CORRELATION_HEADER,
    correlation_filter,
    get_correlation_id,
    new_correlation_id,
    outgoing_metadata,
    reset_correlation_id,
    set_correlation_id,
)
from .emission import dropped_count, emit, get_backend, is_enabled, set_backend
from .samplers import start_samplers, stop_samplers
from .spans import Span, span

__all__ = [
    "CORRELATION_HEADER",
    "Span",
    "TelemetryBackend",
    "correlation_filter",
    "dropped_count",
    "emit",
    "get_backend",
    "get_correlation_id",
    "get_tracer",
    "is_enabled",
    "new_correlation_id",
    "otel_span",
    "outgoing_metadata",
    "reset_correlation_id",
    "set_backend",
    "set_correlation_id",
    "setup_tracing",
    "span",
    "start_samplers",
    "stop_samplers",
]


def __getattr__(name):
    if name in ("get_tracer", "otel_span", "setup_tracing"):
        from .. import otel_tracing

        return getattr(otel_tracing, "span" if name == "otel_span" else name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
