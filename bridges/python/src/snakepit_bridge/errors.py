# SPDX-License-Identifier: MIT
"""What the host answers when it will not do what a call asked of it.

All are HostErrors. Each is also what Python programs would expect for that failure: a
KeyError for a variable that is not there, a ValueError for a value that does not fit.
``code`` is the stable name, such as SP-NOT-FOUND. Codes that none of these is for have
classes of their names: ``errors.QueueFull`` for SP-QUEUE-FULL.
"""

from . import _error_classes, _worker

_ROWS = {row[0]: row for row in _worker.error_codes()}
_UNKNOWN = ("", 0, "none", 0, 2, "", "")


class HostError(RuntimeError):
    """The host refused, failed or is gone. ``str()`` is its message.

    ``code``, ``number``, ``category``, ``grpc_status``, ``retryable`` (the same call may
    succeed later) and ``hint`` (what to do) are those of the library's table.
    """

    code = ""
    number = property(lambda self: _ROWS.get(self.code, _UNKNOWN)[1])
    category = property(lambda self: _ROWS.get(self.code, _UNKNOWN)[2])
    retryable = property(lambda self: bool(_ROWS.get(self.code, _UNKNOWN)[3]))
    grpc_status = property(lambda self: _ROWS.get(self.code, _UNKNOWN)[4])
    hint = property(lambda self: _ROWS.get(self.code, _UNKNOWN)[6])

    def __init__(
        self, message="", code="", remote_type=None, remote_traceback=None, details=None
    ):
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.remote_type = remote_type
        self.remote_traceback = remote_traceback
        self._details = details

    @property
    def remote_details(self):
        """What else is known of the exception: a dict with its causes, or None."""
        if self._details is None:
            return None
        import json

        return json.loads(self._details)

    def __str__(self):
        return str(self.message)

    def __reduce__(self):
        facts = (self.message, self.code, self.remote_type, self.remote_traceback)
        return type(self), (*facts, self._details)


class NotFound(HostError, KeyError):
    """There is no session, program or version of that name."""


class VariableNotFoundError(NotFound):
    """There is no variable of that name or id."""


class AlreadyExists(HostError, ValueError):
    """There is one by this name already."""


class BadValue(HostError, ValueError):
    """A value, a type, a constraint or a name that is not taken; the message says the
    limit."""


class VersionConflict(HostError):
    """The version is another than ``expected_version``: somebody else was first."""


class VariableLocked(HostError):
    """Somebody else holds the variable's lock; the message names the owner."""


class DependencyCycle(HostError, ValueError):
    """The variable would depend on itself; the message shows the way round."""


class QuotaExceeded(HostError):
    """A quota of the session or the host is used up."""


class WatchTooSlow(HostError):
    """More changes came than a watch may leave lying. Everything before was given."""


class HostTimeout(HostError, TimeoutError):
    """No answer before the time limit, or before the deadline of the call that asks."""


class ToolNotFound(HostError, ValueError, LookupError):
    """Neither the host nor another worker offers a tool of that name."""


class ToolArgumentsError(HostError, TypeError, ValueError):
    """The arguments do not fit the tool that was to be called."""


class ToolRecursion(HostError, RecursionError):
    """Tools call each other too deep, or in a ring in which each waits for the next."""


class ToolError(HostError):
    """The tool raised: ``remote_type``, the message, ``remote_traceback``."""


VariableNotFound = VariableNotFoundError

_GROUPS = {
    "SP-NOT-FOUND": NotFound,
    "SP-EXISTS": AlreadyExists,
    "SP-INVAL": BadValue,
    "SP-BAD-VALUE": BadValue,
    "SP-BAD-JSON": BadValue,
    "SP-TOO-DEEP": BadValue,
    "SP-TOO-BIG": BadValue,
    "SP-CONFLICT": VersionConflict,
    "SP-LOCKED": VariableLocked,
    "SP-CYCLE": DependencyCycle,
    "SP-QUOTA": QuotaExceeded,
    "SP-STORE-FULL": QuotaExceeded,
    "SP-TOO-SLOW": WatchTooSlow,
    "SP-TIMEOUT": HostTimeout,
    "SP-QUEUE-TIMEOUT": HostTimeout,
    "SP-NO-TOOL": ToolNotFound,
    "SP-BAD-ARGS": ToolArgumentsError,
    "SP-RECURSION": ToolRecursion,
    "SP-DEADLOCK": ToolRecursion,
    "SP-REMOTE": ToolError,
}


def _class_of(row):
    return _GROUPS.get(row[0], HostError), row[0] in _GROUPS


_BY_CODE = _error_classes.make(_ROWS.values(), _class_of, "", __name__)
globals().update((cls.__name__, cls) for cls in _BY_CODE.values())


def of_code(code, message, remote_type=None, remote_traceback=None, details=None):
    """The exception of an error's stable name."""
    cls = _BY_CODE.get(code, HostError)
    if cls is NotFound and message.startswith("no variable"):
        cls = VariableNotFoundError
    return cls(message, code, remote_type, remote_traceback, details)
