# SPDX-License-Identifier: MIT
"""The call a tool is running for: its session, its metadata, its deadline."""

from . import _worker


class SessionContext:
    """What a tool may know about its caller.

    An adapter gets one through ``set_session_context(context)`` before each call, an
    ``execute_tool`` method as its ``context``; everybody else asks ``current()``. It is
    the same object during one call. Keeping it beyond the call is harmless: it then
    answers as the call ended.
    """

    def __init__(self, stub=None, session_id="", request_metadata=None, *, call=None):
        self.stub = stub
        self._call = call
        self.session_id = call.session if call is not None else session_id
        if request_metadata is None:
            request_metadata = call.metadata if call is not None else {}
        self.request_metadata = request_metadata

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

    @property
    def elixir_tools(self):
        """Functions the host offers, by name; hosts offer none so far."""
        return {}

    def call_elixir_tool(self, tool_name, **parameters):
        """Call a function of the host.

        Raises ValueError for names that are not in ``elixir_tools``.
        """
        offered = self.elixir_tools
        if tool_name not in offered:
            names = ", ".join(sorted(offered)) or "none"
            raise ValueError(
                f"the host offers no tool named {tool_name!r} (it offers: {names})"
            )
        return offered[tool_name](**parameters)

    def cleanup(self):
        """Let go of what the context holds for its session. May be called twice."""
        self.stub = None

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.cleanup()

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
