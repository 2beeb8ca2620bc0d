# SPDX-License-Identifier: MIT
"""A stream of events for a gRPC server that is not ours: what GrpcBackend fills.

Any thread emits; one coroutine reads. What does not fit is dropped and counted. Wishes come
as TelemetryControl messages of bridge.proto, or as anything with the same members.
"""

import asyncio
import collections
import fnmatch
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Dict, List


@dataclass
class TelemetryEvent:
    """An event, with the members of the message of that name."""

    event_parts: List[str]
    measurements: Dict[str, Any] = field(default_factory=dict)
    metadata: Dict[str, str] = field(default_factory=dict)
    timestamp_ns: int = 0
    correlation_id: str = ""


class TelemetryStream:
    """A bounded buffer of events.

    max_buffer  events that may wait to be read
    """

    def __init__(self, max_buffer=1024):
        self._events = collections.deque()
        self._max = max_buffer
        self._lock = threading.Lock()
        self._reader = None  # (loop, asyncio.Event) of who waits
        self._is_closed = False
        self._dropped = 0
        self._enabled = True
        self._rate, self._credit = 1.0, 0.0
        self._allow, self._deny = [], []

    @property
    def dropped_count(self):
        """Events that found no room."""
        return self._dropped

    def emit(self, event_name, measurements=None, metadata=None, correlation_id=None):
        """Put an event in, unless the reader does not want it."""
        event = TelemetryEvent(
            event_name.split("."),
            {
                key: int(value) if isinstance(value, bool) else value
                for key, value in (measurements or {}).items()
            },
            {key: str(value) for key, value in (metadata or {}).items()},
            time.time_ns(),
            correlation_id or "",
        )
        with self._lock:
            if self._is_closed or not self._is_wanted(event_name):
                return
            if len(self._events) >= self._max:
                self._dropped += 1
                return
            self._events.append(event)
            self._wake()

    def close(self):
        """No more events; the reader gets those that wait, and then the end."""
        with self._lock:
            self._is_closed = True
            self._wake()

    async def stream(self, control_iterator=None, context=None):
        """Yield events as they come, obeying what comes from `control_iterator`."""
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        obeying = None
        if control_iterator is not None:
            obeying = asyncio.ensure_future(self._obey(control_iterator))
        with self._lock:
            self._reader = (loop, ready)
        try:
            while True:
                ready.clear()
                while self._events:
                    yield self._events.popleft()
                if self._is_closed:
                    return
                await ready.wait()
        finally:
            with self._lock:
                self._reader = None
            if obeying is not None:
                obeying.cancel()

    def _wake(self):
        if self._reader is not None:
            loop, ready = self._reader
            try:
                loop.call_soon_threadsafe(ready.set)
            except RuntimeError:
                self._reader = None  # its loop is closed

    def _is_wanted(self, name):
        if not self._enabled or any(fnmatch.fnmatchcase(name, p) for p in self._deny):
            return False
        if self._allow and not any(fnmatch.fnmatchcase(name, p) for p in self._allow):
            return False
        self._credit += self._rate
        if self._credit < 1:
            return False
        self._credit -= 1
        return True

    async def _obey(self, controls):
        async for control in controls:
            kind = control.WhichOneof("control")
            with self._lock:
                if kind == "toggle":
                    self._enabled = control.toggle.enabled
                elif kind == "sampling":
                    self._rate = min(1.0, max(0.0, control.sampling.sampling_rate))
                elif kind == "filter":
                    self._allow = list(control.filter.allow)
                    self._deny = list(control.filter.deny)
