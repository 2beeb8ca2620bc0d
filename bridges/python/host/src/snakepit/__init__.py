# SPDX-License-Identifier: MIT
"""Call functions that run in a pool of supervised worker processes.

    import snakepit

    with snakepit.open(adapter="tools.py", size=4) as pit:
        print(pit.call("add", a=1, b=2))
        for value in pit.map("square", range(1_000_000)):
            ...

A Pit owns its workers: none of them outlives it, or the program. Any number of threads
may call at once. Failures are SnakepitErrors. Times are seconds.
"""

import os as _os
import sys as _sys

from . import _snakepit
from ._call import Call
from ._errors import (
    CancelledError,
    ClosedError,
    DeadlineError,
    HostError,
    NotFoundError,
    PoolError,
    QueueFullError,
    RemoteError,
    RemoteTraceback,
    SnakepitError,
    StateError,
    StoreError,
    UsageError,
    WireError,
    WorkerDiedError,
    WorkerError,
)
from ._pit import Function, Pit, open
from ._sessions import Session
from ._snakepit import Map, Stream, ToolCall

__version__ = _snakepit.VERSION
__all__ = [
    "Call",
    "CancelledError",
    "ClosedError",
    "DeadlineError",
    "Function",
    "HostError",
    "Map",
    "NotFoundError",
    "Pit",
    "PoolError",
    "QueueFullError",
    "RemoteError",
    "RemoteTraceback",
    "Session",
    "SnakepitError",
    "StateError",
    "StoreError",
    "Stream",
    "ToolCall",
    "UsageError",
    "WireError",
    "WorkerDiedError",
    "WorkerError",
    "open",
]

# Stubs that protoc makes of snakepit/bridge.proto are modules of a package of this name:
# both can be imported.
__path__ += [
    _place
    for _place in (_os.path.join(_entry, "snakepit") for _entry in _sys.path)
    if _place not in __path__ and _os.path.isfile(_os.path.join(_place, "bridge_pb2.py"))
]
