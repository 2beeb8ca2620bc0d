# SPDX-License-Identifier: MIT
"""A stream of the program's own."""

from .base import TelemetryBackend


class GrpcBackend(TelemetryBackend):
    """Hands events to a TelemetryStream."""

    def __init__(self, stream):
        self.stream = stream

    def emit(self, event_name, measurements, metadata=None, correlation_id=None):
        self.stream.emit(event_name, measurements, metadata, correlation_id)
