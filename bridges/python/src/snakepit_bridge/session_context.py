# SPDX-License-Identifier: MIT
"""The call a tool is running for: its session, its metadata, its deadline, and what the
host keeps for the session: variables, programs, functions to call.

What asks the host gives a plain value; inside a coroutine it gives a Reply, which
may be awaited and otherwise is used like the value it stands for. See _reply.
"""

import sys

from . import _worker
from ._programs import ProgramCalls
from ._reply import ask
from ._tools import ToolCalls
from ._variables import VariableCalls, to_json
from .errors import HostError, NotFound


class SessionContext(VariableCalls, ProgramCalls, ToolCalls):
    """What a tool may know about its caller, and do with its session.

    An adapter gets one through ``set_session_context(context)`` before each call, an
    ``execute_tool`` method as its ``context``; everybody else asks ``current()``. It is
    the same object during one call. Keeping it beyond the call is harmless: it then
    answers as the call ended, and asking the host raises HostError.

    strict_mode  ``context["x"] = 1`` raises when there is no variable x, instead of
                 registering one
    """

    def __init__(
        self,
        stub=None,
        session_id="",
        strict_mode=False,
        request_metadata=None,
        *,
        call=None,
    ):
        if isinstance(strict_mode, dict):  # third in versions without strict_mode
            strict_mode, request_metadata = False, strict_mode
        self.stub = stub
        self._call = call
        self.session_id = call.session if call is not None else session_id
        if request_metadata is None:
            request_metadata = call.metadata if call is not None else {}
        self.request_metadata = request_metadata
        self._has_session = False  # this call has found it, or begun it
        self._begin_variables(strict_mode)
        self._begin_tools()

    def _asking(self):
        """The running call, through which the host is asked."""
        if self._call is None:
            raise HostError("no call runs: there is no host to ask", "SP-CLOSED")
        if not self._call.active:
            raise HostError("the call is over: its host is not asked", "SP-CLOSED")
        return self._call

    def _ask_state(self, question, *arguments):
        """Ask about the session's state; the session is begun when there is none yet.
        One that has ended while this call uses it stays ended."""
        call = self._asking()
        if not self.session_id:
            raise HostError("the call has no session that could keep state", "SP-INVAL")
        try:
            answer = getattr(call, question)(*arguments)
        except NotFound as failure:
            if self._has_session or not failure.message.startswith("no session"):
                raise
            call.session_begin()
            answer = getattr(call, question)(*arguments)
        self._has_session = True
        return answer

    def _warn(self, text):
        sys.stderr.write(f"snakepit: {text}\n")

    @property
    def is_a_calls(self):
        """False for a context that was made by hand."""
        return self._call is not None

    @property
    def tool_name(self):
        """The name the tool was called by, None outside a call."""
        return self._call.tool if self._call is not None else None

    def cancelled(self):
        """True when nobody waits for the result any more."""
        return self._call is not None and self._call.cancelled()

    def time_left(self):
        """Seconds until the caller's deadline, None without one."""
        return self._call.time_left() if self._call is not None else None

    # ---- the session itself ----

    def session_info(self):
        """What the host knows of the session: a dict with id, metadata, created_at,
        used_at, ttl, remaining, variables, programs, bytes, durability."""
        return ask(self._ask_state, "session_info")

    @property
    def metadata(self):
        """The session's metadata, a dict. That of the call is request_metadata."""
        return ask(lambda: self._ask_state("session_info")["metadata"])

    def update_metadata(self, metadata):
        """Replace the session's metadata."""
        text = to_json(dict(metadata))
        return ask(self._ask_state, "session_update", text)

    def cleanup(self, force=False):
        """Let go of what the context holds for its call: its cache, its locally
        registered tools. May be called twice. The session is its owner's to end.

        force  also unlock the variables this call has locked
        """
        self.stub = None
        if force:
            for name in list(self._owners):
                self.unlock(name)
        self.clear_cache()
        self._begin_tools()

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.cleanup()

    def __bool__(self):
        return True  # also when the session has no variables

    def __repr__(self):
        return f"SessionContext(session_id={self.session_id!r})"


def of_call(call):
    """The one context of a call."""
    context = call.context
    if context is None:
        context = call.context = SessionContext(call=call)
    return context


def current():
    """The context of the call that runs now, None outside a call."""
    call = _worker.current()
    return None if call is None else of_call(call)


def cancelled():
    """True when the call that runs now was cancelled; False outside a call."""
    call = _worker.current()
    return call is not None and call.cancelled()


def time_left():
    """Seconds until the deadline of the call that runs now; None without one."""
    call = _worker.current()
    return None if call is None else call.time_left()
