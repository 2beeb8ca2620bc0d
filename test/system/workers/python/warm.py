# SPDX-License-Identifier: MIT
"""An adapter that is forked: it says what its workers share and what they do not."""

import os
import random
import secrets
import ssl
import tempfile
import uuid

from snakepit_bridge import BaseAdapter, tool

try:
    import numpy
except ImportError:
    numpy = None

LOADED_BY = os.getpid()
PLACE = os.environ["WARM_PLACE"]
LINES = open(os.path.join(PLACE, "lines"), encoding="ascii", buffering=1)
FIRST = LINES.readline()
LOG = open(os.path.join(PLACE, "log"), "a", encoding="ascii")
LOG.write("loaded\n")  # and not flushed
if numpy is not None:
    numpy.random.randn()  # they are made in twos: another one is in store


def numbers():
    """What would be the same in every worker if it were inherited."""
    found = [
        random.random(),
        secrets.token_hex(8),
        ssl.RAND_bytes(8).hex(),
        str(uuid.uuid4()),
        str(uuid.uuid1()),
        next(tempfile._get_candidate_names()),
    ]
    if numpy is not None:
        found += [float(numpy.random.randn()), float(numpy.random.rand())]
    return found


class Warm(BaseAdapter):
    def __init__(self):
        super().__init__()
        self.made_by = os.getpid()
        self.steps = []

    def after_fork(self):
        self.steps.append("after_fork")
        if os.path.exists(os.path.join(PLACE, "raise")):
            raise ConnectionError("nothing to connect to")

    async def initialize(self):
        self.steps.append("initialize")
        with open(os.path.join(PLACE, "numbers"), "a", encoding="ascii") as file:
            file.write("".join(f"{i}: {n}\n" for i, n in enumerate(numbers())))
        with open(os.path.join(PLACE, "read"), "a", encoding="ascii") as file:
            file.write(LINES.readline())
        LOG.write(f"{os.getpid()}\n")
        LOG.flush()

    @tool
    def who(self):
        return {
            "shares": LOADED_BY == self.made_by != os.getpid(),
            "steps": ",".join(self.steps),
            "name": os.environ["SNAKEPIT_WORKER_ID"],
        }
