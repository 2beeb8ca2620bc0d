# SPDX-License-Identifier: MIT
"""A tool that waits, and says where it did: for both profiles."""

import os
import threading
import time

from snakepit_bridge.base_adapter_threaded import ThreadSafeAdapter, thread_safe_method
from snakepit_bridge import tool


class Waiting(ThreadSafeAdapter):
    """Says that it is made for threads; one object serves them all."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    @tool
    @thread_safe_method
    def wait(self, seconds: float = 0.1):
        with self.acquire_lock():  # all threads change it
            self.calls += 1
            number = self.calls
        time.sleep(seconds)  # other threads run meanwhile, also with a global lock
        return {"pid": os.getpid(), "thread": threading.current_thread().name,
                "call": number}
