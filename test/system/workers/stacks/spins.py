# SPDX-License-Identifier: MIT
"""Tools whose stack is looked at while they run, until a file `path`.end is there."""

import ctypes
import os
import time

from snakepit_bridge import BaseAdapter, tool


class Spins(BaseAdapter):
    @tool
    def spin(self, path):
        """Python code that never rests."""
        return turn_round(path, lambda: None)

    @tool
    def hold_lock(self, path):
        """C code that sleeps with the interpreter's lock held, over and over."""
        return turn_round(path, lambda: ctypes.PyDLL(None).usleep(50000))

    @tool
    def rest(self, path):
        """Sleep without the lock."""
        return turn_round(path, lambda: time.sleep(0.01))


def turn_round(path, step):
    open(path, "w").close()
    while not os.path.exists(path + ".end"):
        step()
    return True
