# SPDX-License-Identifier: MIT
"""Lines on standard error, for a look by eye."""

import json
import sys
import time

from .base import TelemetryBackend


class StderrBackend(TelemetryBackend):
    """"TELEMETRY:" and the event as JSON, a line each."""

    def emit(self, event_name, measurements, metadata=None, correlation_id=None):
        event = {
            "event": event_name,
            "measurements": measurements,
            "metadata": metadata or {},
            "timestamp_ns": time.time_ns(),
            "correlation_id": correlation_id or "",
        }
        sys.stderr.write(f"TELEMETRY:{json.dumps(event, default=str)}\n")
        sys.stderr.flush()
