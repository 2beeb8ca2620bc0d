# SPDX-License-Identifier: MIT
"""An adapter that never gets ready."""

import time

from snakepit_bridge import BaseAdapter, tool


class Slow(BaseAdapter):
    def initialize(self):
        print("loading for ever")
        time.sleep(600)

    @tool
    def nothing(self):
        return None
