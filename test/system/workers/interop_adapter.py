# SPDX-License-Identifier: MIT
"""Tools for clients that are no snakepit: what they send, and when they leave."""

import time

from snakepit_bridge import tool
from snakepit_bridge.adapters.showcase import ShowcaseAdapter


def note(path, text):
    with open(path, "w", encoding="utf-8") as notes:
        notes.write(text + "\n")


class Interop(ShowcaseAdapter):
    @tool
    def seen(self, **arguments):
        """What reached this tool of its call."""
        context = self.session_context
        return {
            "arguments": arguments,
            "types": {name: type(value).__name__ for name, value in arguments.items()},
            "session_id": context.session_id,
            "metadata": dict(context.request_metadata),
            "seconds_left": context.time_left(),
        }

    @tool
    def repeat(self, text: str, times: int = 1):
        return {"text": text * times}

    @tool
    def wait(self, path: str):
        """Until it is interrupted."""
        note(path, "waiting")
        try:
            while True:
                time.sleep(60)
        finally:
            note(path, "interrupted")

    @tool
    def forever(self, path: str):
        """A stream without an end."""
        i = 0
        try:
            while True:
                yield {"i": i}
                i += 1
        finally:
            note(path, "closed")

    @tool
    def break_off(self):
        yield {"i": 0}
        raise KeyError("nothing more to be had")
