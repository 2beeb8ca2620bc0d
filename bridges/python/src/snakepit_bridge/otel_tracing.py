# SPDX-License-Identifier: MIT
"""Tracing by OpenTelemetry's SDK, for programs that have it, and correlation ids.

The host makes the spans of calls and exports them; this is for tools that use an
OpenTelemetry library of their own. Without one spans are those of telemetry.span().
"""

from .telemetry.correlation import (
    CORRELATION_HEADER,
    correlation_filter,
    get_correlation_id,
    new_correlation_id,
    outgoing_metadata,
    reset_correlation_id,
    set_correlation_id,
)
from .telemetry.spans import span

__all__ = [
    "CORRELATION_HEADER",
    "correlation_filter",
    "get_correlation_id",
    "get_tracer",
    "new_correlation_id",
    "outgoing_metadata",
    "reset_correlation_id",
    "set_correlation_id",
    "setup_tracing",
    "span",
]

_name = "snakepit.python.bridge"


def setup_tracing(service_name=None, **unused):
    """Name the tracer. True when OpenTelemetry is there; its SDK's exporter is set up by
    its own environment variables (OTEL_EXPORTER_OTLP_ENDPOINT)."""
    global _name
    if service_name:
        _name = service_name
    return get_tracer() is not None


def get_tracer():
    """OpenTelemetry's tracer, or None without its package."""
    try:
        from opentelemetry import trace
    except ImportError:
        return None
    return trace.get_tracer(_name)
