# SPDX-License-Identifier: MIT
"""Variables for adapters and other objects, without a context at hand.

class Writer(VariableAwareMixin, BaseAdapter):
    @tool
    def write(self):
        return generate(self.get_variable("temperature"))
"""

from .errors import HostError
from .session_context import current
from .types import infer_type


class VariableAwareMixin:
    """Its methods speak of the session of the call that runs now.

    channel, session_id  taken and kept for programs that pass them; the connection is
                         the worker's own. A call may ask about its own session only.
    """

    channel = None

    def __init__(self, channel=None, session_id=None, *arguments, **keywords):
        self.channel = channel
        self._mixin_session_id = session_id
        self._watches = []
        super().__init__(*arguments, **keywords)

    def _context(self):
        context = current()
        if context is None:
            raise HostError("no call runs: there is no session to ask", "SP-CLOSED")
        wanted = self.__dict__.get("_mixin_session_id")
        if wanted and wanted != context.session_id:
            raise HostError(
                f"a call of session {context.session_id!r} cannot use the variables of "
                f"session {wanted!r}",
                "SP-REFUSED",
            )
        return context

    def get_variable(self, name, **options):
        """SessionContext.get_variable() of the running call."""
        return self._context().get_variable(name, **options)

    def set_variable(self, name, value, metadata=None, **options):
        """SessionContext.set_variable() of the running call."""
        return self._context().set_variable(name, value, metadata, **options)

    def register_variable(
        self, name, var_type, initial_value, constraints=None, metadata=None
    ):
        """SessionContext.register_variable() of the running call."""
        return self._context().register_variable(
            name, var_type, initial_value, constraints, metadata
        )

    def list_variables(self, pattern=None):
        """SessionContext.list_variables() of the running call."""
        return self._context().list_variables(pattern)

    def watch_variable(self, name, callback):
        """Call callback(name, old value, new value, metadata) for each change, on a
        thread of its own, until the call ends. Gives the Watch, to close() it earlier.
        """
        import threading

        watch = self._context().watch(name, initial=True)
        thread = threading.Thread(
            target=_follow, args=(watch, callback), name="snakepit-watch", daemon=True
        )
        self.__dict__.setdefault("_watches", []).append(watch)
        thread.start()
        return watch

    def _infer_type(self, value):
        return infer_type(value).value

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.stop_watching()

    def stop_watching(self):
        """Close every watch that watch_variable() began."""
        watches, self._watches = self.__dict__.get("_watches", []), []
        for watch in watches:
            watch.close()


def _follow(watch, callback):
    old = None
    for change in watch:
        if change.kind == "value":
            callback(change.name, old, change.value, change.variable["metadata"])
        old = change.value
