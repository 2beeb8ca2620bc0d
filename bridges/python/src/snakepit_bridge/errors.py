# SPDX-License-Identifier: MIT
"""What the host answers when it will not do what a call asked of it.

All are HostErrors. Each is also what Python programs would expect for that failure: a
KeyError for a variable that is not there, a ValueError for a value that does not fit.
``code`` is the stable name, such as SP-NOT-FOUND.
"""


class HostError(RuntimeError):
    """The host refused, failed or is gone. ``str()`` is its message."""

    def __init__(
        self, message="", code="", remote_type=None, remote_traceback=None, details=None
    ):
        super().__init__(message)
        self.message = message
        self.code = code
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

_BY_CODE = {
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


def of_code(code, message, remote_type=None, remote_traceback=None, details=None):
    """The exception of an error's stable name."""
    cls = _BY_CODE.get(code, HostError)
    if cls is NotFound and message.startswith("no variable"):
        cls = VariableNotFoundError
    return cls(message, code, remote_type, remote_traceback, details)
