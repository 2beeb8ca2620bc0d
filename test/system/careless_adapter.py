# SPDX-License-Identifier: MIT
"""An adapter that says it is made for threads, and forgets a lock."""

import threading

from snakepit_bridge import BaseAdapter, thread_safety_checker, tool


class Careless(BaseAdapter):
    __thread_safe__ = True

    def __init__(self):
        super().__init__()
        self.meeting = threading.Barrier(2)
        self.changes = 0
        self.lock = threading.Lock()
        self.kept = 0

    @tool
    def change(self):
        """Two calls at a time, each on a thread of its own."""
        self.meeting.wait(60)
        with self.lock:
            self.kept += 1
        self.changes += 1
        return self.changes

    @tool
    def found(self):
        """What was found, as a list of variable, file's end and function."""
        races = thread_safety_checker.get_global_checker().races
        return [[r.variable, r.now.file[-19:], r.now.function, r.before.function]
                for r in races]
