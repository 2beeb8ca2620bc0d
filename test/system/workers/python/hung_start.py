# SPDX-License-Identifier: MIT
"""An adapter whose import never ends."""

import threading

lock = threading.Lock()
lock.acquire()
lock.acquire()
