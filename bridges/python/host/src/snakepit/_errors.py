# SPDX-License-Identifier: MIT
"""What is raised: one class for each category of the library's errors, a few more for what
programs tell apart most often, and below them one for each code (snakepit.errors).
``code`` is the stable name, SP-QUEUE-FULL."""

from . import _error_classes, _snakepit

_EXECUTED = ("no", "unknown", "yes")
_STAGES = ("none", "queued", "sent", "started", "streaming")


class SnakepitError(Exception):
    """A call, or the pit, failed. ``str()`` is one sentence.

    code        stable name, such as "SP-TIMEOUT"; number is the C library's
    category    "system", "usage", "pool", "time", "worker", "remote", "wire", "state" or
                "store"; grpc_status is the gRPC status code that stands for the code
    hint        what to do about it
    executed    "no", "unknown" or "yes": whether user code in a worker ran
    retryable   the same call may be sent again, safely and with hope
    retry_after seconds before which that is no use, or 0.0
    stage       how far the call had come: "none", "queued", "sent", "started",
                "streaming"
    attempts    times it was handed to a worker; chunks: of its stream that came
    worker_pid, worker_exit, worker_signal, worker_stderr, worker_stack
                of the worker concerned: 0, -1, 0, None, None when there is none
    remote_type, remote_message, remote_trace
                of the exception in the worker, or None
    remote_details
                a dict of what else is known of it, or None: its "causes", and of an
                array library's exception what it is about (snakepit/error.h)
    """

    code, number, category, grpc_status, hint = "SP-UNKNOWN", 0, "none", 2, ""
    retryable = False

    def __init__(self, message="", facts=None):
        super().__init__(message)
        facts = facts or {}
        self.message = message
        self.executed = _EXECUTED[facts.get("executed", 0)]
        self.retryable = bool(facts.get("retryable", self.retryable))
        self.retry_after = facts.get("retry_after_ms", 0) / 1000
        self.stage = _STAGES[facts.get("stage", 0)]
        self.attempts = facts.get("attempts", 0)
        self.chunks = facts.get("chunks", 0)
        self.worker = facts.get("worker", 0)
        self.worker_pid = facts.get("worker_pid", 0)
        self.worker_exit = facts.get("worker_exit", -1)
        self.worker_signal = facts.get("worker_signal", 0)
        self.worker_stderr = facts.get("worker_stderr")
        self.worker_stack = facts.get("worker_stack")
        self.os_errno = facts.get("os_errno", 0)
        self.remote_type = facts.get("remote_type")
        self.remote_message = facts.get("remote_message")
        self.remote_trace = facts.get("remote_trace")
        self.remote_details = _parsed(facts.get("remote_details"))
        self._facts = facts

    def __str__(self):
        return self.message

    def __reduce__(self):
        return _of_pickle, (self._facts or {"message": self.message},)


def _parsed(text):
    if text is None:
        return None
    import json

    return json.loads(text)


class HostError(SnakepitError):
    """The system refused: memory, descriptors, processes, the guard."""


class UsageError(SnakepitError, ValueError):
    """What was asked for is wrong: an argument, a name, a configuration."""


class NotFoundError(UsageError, LookupError):
    """There is no pool, tool, session or variable of that name."""


class PoolError(SnakepitError):
    """The pool does not take the call."""


class QueueFullError(PoolError):
    """As many calls wait as may."""


class ClosedError(PoolError):
    """The pit is closed, or another process's."""


class DeadlineError(SnakepitError, TimeoutError):
    """Not in time: in the queue, in the worker, or at the start."""


class CancelledError(SnakepitError):
    """The call was cancelled."""


class WorkerError(SnakepitError):
    """The worker could not start, or did not live."""


class WorkerDiedError(WorkerError):
    """The worker died during the call; its last lines are in worker_stderr."""


class RemoteError(SnakepitError):
    """The tool raised. ``__cause__`` shows its traceback."""


class WireError(SnakepitError):
    """The worker broke the protocol."""


class StateError(SnakepitError):
    """A session, variable or program did not let itself be changed so."""


class StoreError(SnakepitError):
    """The file of the stored state cannot be used, or is full."""


class RemoteTraceback(Exception):
    """The traceback of an exception in a worker, as text."""

    def __init__(self, text):
        super().__init__(text)
        self.text = text

    def __str__(self):
        return f'\n"""\n{self.text}"""'


_BY_CATEGORY = {
    "system": HostError,
    "usage": UsageError,
    "pool": PoolError,
    "time": DeadlineError,
    "worker": WorkerError,
    "remote": RemoteError,
    "wire": WireError,
    "state": StateError,
    "store": StoreError,
}
_BASES = {  # of codes, where it is not their category's
    "SP-NO-POOL": NotFoundError,
    "SP-NO-TOOL": NotFoundError,
}


def _class_of(row):
    own = globals().get(_error_classes.name_of(row[0], "Error"))
    if own is not None:
        _error_classes.mark(own, row)
        return own, True
    return _BASES.get(row[0]) or _BY_CATEGORY[row[2]], False


BY_CODE = _error_classes.make(
    _snakepit.error_codes(), _class_of, "Error", "snakepit.errors"
)


def of_facts(facts):
    """The exception that a dict of an error's facts describes."""
    error = BY_CODE.get(facts["code"], SnakepitError)(facts["message"], facts)
    if error.remote_trace:
        error.__cause__ = RemoteTraceback(error.remote_trace)
    return error


def _of_pickle(facts):
    return of_facts(facts) if "code" in facts else SnakepitError(facts["message"])


def closed():
    """A ClosedError of the package's own."""
    return of_facts({"code": ClosedError.code, "message": "the pit is closed"})


def describe(exception):
    """(code, type, message, traceback, JSON or None) of what answers a worker."""
    from . import _failures

    code = exception.code if isinstance(exception, SnakepitError) else "SP-REMOTE"
    return (code, *_failures.describe(exception, True))
