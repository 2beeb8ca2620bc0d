# SPDX-License-Identifier: MIT
"""An adapter whose start fails, until a file says that it may succeed."""

import os

from snakepit_bridge import BaseAdapter, tool


class Broken(BaseAdapter):
    def initialize(self):
        if not os.path.exists(os.environ["PROBE_MAY_START"]):
            raise ConnectionError("the model server does not answer")

    @tool
    def ping(self):
        return "pong"
