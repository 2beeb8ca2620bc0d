# SPDX-License-Identifier: MIT
"""What the showcase remembers per session, in this worker's memory."""

import os
import time

from .basic import timestamp, whole

_SESSIONS_MAX = 10_000  # the least recently used goes first


class Sessions:
    """Counters and settings by session id."""

    def __init__(self):
        self._by_id = {}

    def _state(self, session_id):
        state = self._by_id.pop(session_id, None)
        if state is None:
            state = {
                "counter": 0,
                "calls": 0,
                "since": time.monotonic(),
                "settings": {},
            }
            if len(self._by_id) >= _SESSIONS_MAX:
                del self._by_id[next(iter(self._by_id))]
        self._by_id[session_id] = state  # at the end: used most recently
        state["calls"] += 1
        return state

    def begin(self, session_id, settings):
        state = self._state(session_id)
        state.update(settings=settings, since=time.monotonic(), calls=1)
        return {
            "timestamp": timestamp(),
            "worker_pid": os.getpid(),
            "session_id": session_id,
            "settings": settings,
        }

    def end(self, session_id):
        state = self._state(session_id)
        del self._by_id[session_id]
        return {
            "duration_ms": round((time.monotonic() - state["since"]) * 1000, 3),
            "command_count": state["calls"],
            "session_id": session_id,
        }

    def set_counter(self, session_id, value):
        state = self._state(session_id)
        state["counter"] = whole("value", value, -(2**63))
        return {"value": state["counter"]}

    def get_counter(self, session_id):
        return {"value": self._state(session_id)["counter"]}

    def increment_counter(self, session_id):
        state = self._state(session_id)
        state["counter"] += 1
        return {"value": state["counter"]}


def worker_info(session_id, call_number):
    return {
        "worker_pid": str(os.getpid()),
        "call_number": call_number,
        "session_id": session_id,
    }
