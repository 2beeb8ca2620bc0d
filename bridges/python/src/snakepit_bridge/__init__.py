# SPDX-License-Identifier: MIT
"""Python workers for snakepit.

    from snakepit_bridge import BaseAdapter, tool

    class Greeter(BaseAdapter):
        @tool
        def greet(self, name: str, shout: bool = False):
            "Say hello."
            text = "hello " + name
            return text.upper() if shout else text

Plain functions need none of this: a worker started with the adapter "none" calls any
importable function by its dotted name.

Every name below is loaded when it is first used, so that starting a worker costs little
more than starting the interpreter.
"""

__version__ = "0.1.0"

_HOMES = {
    "BaseAdapter": "base_adapter",
    "ToolMetadata": "base_adapter",
    "tool": "base_adapter",
    "SessionContext": "session_context",
    "VariableProxy": "_variables",
    "VariableNamespace": "_variables",
    "CachedVariable": "_cache",
    "VariableAwareMixin": "variable_aware_mixin",
    "VariableType": "types",
    "HostError": "errors",
    "NotFound": "errors",
    "VariableNotFound": "errors",
    "VariableNotFoundError": "errors",
    "AlreadyExists": "errors",
    "BadValue": "errors",
    "VersionConflict": "errors",
    "VariableLocked": "errors",
    "DependencyCycle": "errors",
    "QuotaExceeded": "errors",
    "WatchTooSlow": "errors",
    "HostTimeout": "errors",
    "ToolNotFound": "errors",
    "ToolArgumentsError": "errors",
    "ToolRecursion": "errors",
    "ToolError": "errors",
    "StreamChunk": "stream_chunk",
    "BaseCommandHandler": "core",
    "ProtocolHandler": "core",
    "safe_print": "core",
    "setup_broken_pipe_suppression": "core",
    "setup_graceful_shutdown": "core",
    "BadArguments": "_worker",
    "Cancelled": "_worker",
    "NoSuchTool": "_worker",
    "WorkerError": "_worker",
    "current": "session_context",
    "cancelled": "session_context",
    "time_left": "session_context",
}

__all__ = ["__version__", *_HOMES]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._cache import CachedVariable
    from ._variables import VariableNamespace, VariableProxy
    from ._worker import BadArguments, Cancelled, NoSuchTool, WorkerError
    from .base_adapter import BaseAdapter, ToolMetadata, tool
    from .core import (
        BaseCommandHandler,
        ProtocolHandler,
        safe_print,
        setup_broken_pipe_suppression,
        setup_graceful_shutdown,
    )
    from .errors import (
        AlreadyExists,
        BadValue,
        DependencyCycle,
        HostError,
        HostTimeout,
        NotFound,
        QuotaExceeded,
        ToolArgumentsError,
        ToolError,
        ToolNotFound,
        ToolRecursion,
        VariableLocked,
        VariableNotFound,
        VariableNotFoundError,
        VersionConflict,
        WatchTooSlow,
    )
    from .session_context import SessionContext, cancelled, current, time_left
    from .stream_chunk import StreamChunk
    from .types import VariableType
    from .variable_aware_mixin import VariableAwareMixin


def __getattr__(name):
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = __import__(f"{__name__}.{home}", fromlist=[name])
    value = globals()[name] = getattr(module, name)
    return value


def __dir__():
    return sorted(__all__)
