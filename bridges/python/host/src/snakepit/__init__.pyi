# SPDX-License-Identifier: MIT
import concurrent.futures
import os
from typing import (
    Any,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Optional,
    TypeVar,
    Union,
    overload,
)

from . import _snakepit
from ._snakepit import Map as Map
from ._snakepit import Stream as Stream
from ._snakepit import ToolCall as ToolCall

__version__: str
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
_Self = TypeVar("_Self")
_Function = TypeVar("_Function", bound=Callable[..., Any])
_Config = Union[str, bytes, "os.PathLike[str]", Dict[str, Any], None]
_Items = Union[Iterable[Any], AsyncIterable[Any]]

class SnakepitError(Exception):
    message: str
    code: str
    number: int
    hint: str
    executed: str
    retryable: bool
    retry_after: float
    stage: str
    attempts: int
    chunks: int
    worker: int
    worker_pid: int
    worker_exit: int
    worker_signal: int
    worker_stderr: Optional[str]
    worker_stack: Optional[str]
    os_errno: int
    remote_type: Optional[str]
    remote_message: Optional[str]
    remote_trace: Optional[str]
    remote_details: Optional[Dict[str, Any]]
    def __init__(
        self, message: str = "", facts: Optional[Dict[str, Any]] = None
    ) -> None: ...

class HostError(SnakepitError): ...
class UsageError(SnakepitError, ValueError): ...
class NotFoundError(UsageError, LookupError): ...
class PoolError(SnakepitError): ...
class QueueFullError(PoolError): ...
class ClosedError(PoolError): ...
class DeadlineError(SnakepitError, TimeoutError): ...
class CancelledError(SnakepitError): ...
class WorkerError(SnakepitError): ...
class WorkerDiedError(WorkerError): ...
class RemoteError(SnakepitError): ...
class WireError(SnakepitError): ...
class StateError(SnakepitError): ...
class StoreError(SnakepitError): ...

class RemoteTraceback(Exception):
    text: str
    def __init__(self, text: str) -> None: ...

class Call(concurrent.futures.Future[Any]):
    id: int
    def __init__(self, pit: Pit) -> None: ...
    def cancel(self) -> bool: ...

class Function:
    __name__: str
    def __init__(self, pit: Pit, tool: str, options: Dict[str, Any]) -> None: ...
    def __call__(self, *args: Any, **named: Any) -> Any: ...

class Session:
    id: str
    def __init__(self, pit: Pit, id: str) -> None: ...
    def __enter__(self: _Self) -> _Self: ...
    def __exit__(self, *exception: object) -> None: ...
    def call(self, tool: str, /, *args: Any, **named: Any) -> Any: ...
    def call_many(
        self, tool: str, items: Iterable[Any], **options: Any
    ) -> List[Any]: ...
    def submit(self, tool: str, /, *args: Any, **named: Any) -> Call: ...
    def map(self, tool: str, iterable: Iterable[Any], **options: Any) -> Map: ...
    def stream(self, tool: str, /, *args: Any, **named: Any) -> Stream: ...
    async def acall(self, tool: str, /, *args: Any, **named: Any) -> Any: ...
    def astream(
        self, tool: str, /, *args: Any, **named: Any
    ) -> AsyncIterator[Any]: ...
    def amap(self, tool: str, iterable: _Items, **options: Any) -> AsyncIterator[Any]: ...
    def function(self, tool: str, /, **options: Any) -> Function: ...
    def register(self, name: str, value: Any, type: Optional[str] = None) -> None: ...
    def __getitem__(self, name: str) -> Any: ...
    def __setitem__(self, name: str, value: Any) -> None: ...
    def __delitem__(self, name: str) -> None: ...
    def get(self, name: str, default: Any = None) -> Any: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...
    def __contains__(self, name: object) -> bool: ...
    def info(self) -> Dict[str, Any]: ...
    def delete(self) -> None: ...

class Pit(_snakepit.Pit):
    def __init__(
        self,
        config: _Config = None,
        *,
        on_event: Optional[Callable[[Dict[str, Any]], object]] = None,
        settings: Optional[Dict[str, Any]] = None,
        **pool: Any,
    ) -> None: ...
    def __enter__(self: _Self) -> _Self: ...
    def __exit__(self, *exception: object) -> None: ...
    async def __aenter__(self: _Self) -> _Self: ...
    async def __aexit__(self, *exception: object) -> None: ...
    def await_ready(self, timeout: Optional[float] = None) -> None: ...
    def close(self) -> None: ...
    def function(self, tool: str, /, **options: Any) -> Function: ...
    def call_many(
        self,
        tool: str,
        items: Iterable[Any],
        *,
        return_exceptions: bool = False,
        in_flight: Optional[int] = None,
        **options: Any,
    ) -> List[Any]: ...
    def submit(self, tool: str, /, *args: Any, **named: Any) -> Call: ...
    def map(
        self,
        tool: str,
        iterable: Iterable[Any],
        *,
        ordered: bool = True,
        in_flight: Optional[int] = None,
        return_exceptions: bool = False,
        **options: Any,
    ) -> Map: ...
    def stream(self, tool: str, /, *args: Any, **named: Any) -> Stream: ...
    async def acall(self, tool: str, /, *args: Any, **named: Any) -> Any: ...
    def astream(
        self, tool: str, /, *args: Any, **named: Any
    ) -> AsyncIterator[Any]: ...
    def amap(
        self,
        tool: str,
        iterable: _Items,
        *,
        ordered: bool = True,
        in_flight: Optional[int] = None,
        return_exceptions: bool = False,
        **options: Any,
    ) -> AsyncIterator[Any]: ...
    def session(
        self,
        id: Optional[str] = None,
        *,
        ttl: Optional[float] = None,
        metadata: Optional[Dict[str, Any]] = None,
    ) -> Session: ...
    @overload
    def tool(
        self,
        function: _Function,
        *,
        name: Optional[str] = None,
        session: Optional[str] = None,
        with_call: bool = False,
        hidden: bool = False,
    ) -> _Function: ...
    @overload
    def tool(
        self,
        function: None = None,
        *,
        name: Optional[str] = None,
        session: Optional[str] = None,
        with_call: bool = False,
        hidden: bool = False,
    ) -> Callable[[_Function], _Function]: ...
    def remove_tool(self, name: str, *, session: Optional[str] = None) -> None: ...

def open(
    config: _Config = None,
    *,
    wait: bool = True,
    timeout: Optional[float] = None,
    on_event: Optional[Callable[[Dict[str, Any]], object]] = None,
    settings: Optional[Dict[str, Any]] = None,
    **pool: Any,
) -> Pit: ...
