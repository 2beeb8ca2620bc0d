# SPDX-License-Identifier: MIT
"""The telemetry stream of the worker that runs in this process: the usual one."""

from ... import _worker
from .base import TelemetryBackend


class WorkerBackend(TelemetryBackend):
    """Whoever listens to the worker. Outside of a worker nobody does."""

    def emit(self, event_name, measurements, metadata=None, correlation_id=None):
        _worker.emit(event_name, measurements, metadata, correlation_id)

    def is_enabled(self):
        return _worker.listens()
