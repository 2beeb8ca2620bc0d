# SPDX-License-Identifier: MIT
"""What a backend is."""

import abc


class TelemetryBackend(abc.ABC):
    """Takes events. What it raises is passed over: who reports must not fail."""

    @abc.abstractmethod
    def emit(self, event_name, measurements, metadata=None, correlation_id=None):
        """Take one event."""

    def is_enabled(self):
        """Whether it is worth while to make events for it."""
        return True
