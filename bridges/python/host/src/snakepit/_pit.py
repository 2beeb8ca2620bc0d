# SPDX-License-Identifier: MIT
"""The pit of a program in Python."""

import atexit
import threading
import uuid
import weakref

from . import _config, _errors, _snakepit, _tools
from ._call import Call, Dispatcher
from ._sessions import Session
from ._values import MARKER, substitute

OPTIONS = frozenset(
    (
        "timeout",
        "queue_timeout",
        "session",
        "pool",
        "idempotent",
        "cancel_kills",
        "request_id",
        "dedupe_key",
        "affinity",
    )
)
_ASYNC_IN_FLIGHT = 64
_open_pits: "weakref.WeakSet[Pit]" = weakref.WeakSet()


def _plain(value):
    """What JSON can hold in the place of an argument."""
    result = substitute(value)
    if isinstance(result, dict) and MARKER in result:
        raise TypeError(f"a {result['__type__']} cannot be sent to a tool")
    return result


_snakepit._begin(_errors.of_facts, _plain, threading.main_thread().ident or 0)


def _part(args, named):
    """(arguments, options) of what a call was given."""
    options = None
    if named:
        options = {name: named.pop(name) for name in OPTIONS & named.keys()}
    if named and args:
        raise TypeError("arguments go by place or by name, not some of each")
    return named or args, options


def arguments_of_item(item):
    """A map's item: a dict goes by name, a tuple by place, the rest alone."""
    return item if isinstance(item, (dict, tuple)) else (item,)


def _check_options(options):
    for name in options:
        if name not in OPTIONS:
            raise TypeError(f"{name!r} is no option of a call")
    return options


class Function:
    """A tool as a function: every keyword is the tool's own."""

    def __init__(self, pit, tool, options):
        self._pit = pit
        self._options = options
        self.__name__ = tool

    def __repr__(self):
        return f"<snakepit.Function {self.__name__!r}>"

    def __call__(self, *args, **named):
        if named and args:
            raise TypeError("arguments go by place or by name, not some of each")
        return self._pit._call(self.__name__, named or args, self._options)


class Pit(_snakepit.Pit):
    """A runtime with its pools of workers. Made by snakepit.open().

    All methods may be called from any thread, any number at once; a wait lets other
    threads run and hears Ctrl-C. A process that forks cannot use its parent's pit: its
    calls raise ClosedError. As a context manager it is closed at the end, and its workers
    have ended then; an open one is closed when the program ends.
    """

    def __init__(self, config=None, *, on_event=None, settings=None, **pool):
        path, text = _config.read(config, pool)
        self._dispatcher = Dispatcher(self, on_event)
        self._open(path, text, _config.settings(settings), on_event is not None)
        _open_pits.add(self)
        if on_event is not None:
            self._dispatcher.need_thread()

    def __repr__(self):
        return f"<snakepit.Pit {'closed' if self.closed else ', '.join(self.pools())}>"

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    async def __aenter__(self):
        import asyncio

        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self.await_ready)
        return self

    async def __aexit__(self, *exception):
        import asyncio

        self._dispatcher.stop()
        await asyncio.get_running_loop().run_in_executor(None, self.close)

    def await_ready(self, timeout=None):
        """Wait until every worker of every pool is ready.

        timeout  seconds; None: the longest startup_timeout of the pools

        Raises DeadlineError, WorkerError when one can never start.
        """
        self._await_ready(timeout)

    def close(self):
        """End calls under way with ClosedError, stop every worker and wait until no
        process is left. Closing again does nothing."""
        if self.closed:
            return
        self._dispatcher.stop()
        self._dispatcher.deliver(self._close())
        _open_pits.discard(self)

    # ---- calling; call() is the extension's ----

    def function(self, tool, /, **options):
        """The tool as a function, with options for all its calls. Keywords of its calls
        are the tool's own, also those named as options are."""
        return Function(self, tool, _check_options(options))

    def call_many(
        self, tool, items, *, return_exceptions=False, in_flight=None, **options
    ):
        """Call a tool for every item and wait for all of it: the list of results.

        items    dicts of named arguments, tuples of arguments by place, or the only
                 argument
        return_exceptions
                 True: failures stand in their places. False: the first is raised and
                 what is under way is cancelled
        """
        results = self._map(
            tool, items, _check_options(options), in_flight or 0, True, return_exceptions
        )
        with results:
            return list(results)

    def submit(self, tool, /, *args, **named):
        """Begin a call, with arguments and options as in call(), and return a Call."""
        arguments, options = _part(args, named)
        call = Call(self)
        self._dispatcher.need_thread()
        call.id = self._start(call, tool, arguments, options)
        return call

    def map(
        self,
        tool,
        iterable,
        *,
        ordered=True,
        in_flight=None,
        return_exceptions=False,
        **options,
    ):
        """Call a tool for every item of an iterable: an iterator over the results.

        The iterable is read only as fast as results are taken, so it may be endless, by
        the thread that takes. close(), leaving a with block and dropping the iterator
        cancel what is under way.

        ordered    False: results as they are ready; index says which item the last is of
        in_flight  calls under way at once, at most 65 536; None: what keeps the workers
                   busy
        return_exceptions
                   True: failures are results. False: they are raised at their place, and
                   the next step goes on behind it

        Items as in call_many(). A full queue is waited for.
        """
        return self._map(
            tool,
            iterable,
            _check_options(options),
            in_flight or 0,
            ordered,
            return_exceptions,
        )

    def stream(self, tool, /, *args, **named):
        """Begin a streaming tool, as call(): an iterator over its chunks. A slow reader
        slows the tool; leaving early cancels it."""
        arguments, options = _part(args, named)
        return self._stream(tool, arguments, options)

    def _cancel_quietly(self, identity):
        try:
            self._cancel(identity)
        except _errors.ClosedError:
            pass  # it has ended with its pit

    # ---- in an event loop ----

    async def acall(self, tool, /, *args, **named):
        """As call(), for coroutines. Cancelling the task cancels the call."""
        from . import _async

        arguments, options = _part(args, named)
        return await _async.call(self, tool, arguments, options)

    def astream(self, tool, /, *args, **named):
        """As stream(), for ``async for``."""
        from . import _async

        arguments, options = _part(args, named)
        return _async.stream(self, tool, arguments, options)

    def amap(
        self,
        tool,
        iterable,
        *,
        ordered=True,
        in_flight=None,
        return_exceptions=False,
        **options,
    ):
        """As map(), for ``async for``; the iterable may be asynchronous. in_flight is 64
        unless it is said. The first failure that is raised ends it."""
        from . import _async

        return _async.map_over(
            self,
            tool,
            iterable,
            _check_options(options),
            in_flight or _ASYNC_IN_FLIGHT,
            ordered,
            return_exceptions,
        )

    # ---- sessions ----

    def session(self, id=None, *, ttl=None, metadata=None):
        """The session of that id, made when there is none.

        id        None: one that nobody else has
        ttl       seconds it lives when it is not used; None: the pit's default
        metadata  a dict, of a session that is made
        """
        id = id or uuid.uuid4().hex
        self._session_create(id, ttl, metadata, True)
        return Session(self, id)

    # ---- tools of the program ----

    def tool(
        self, function=None, *, name=None, session=None, with_call=False, hidden=False
    ):
        """Make a function of the program a tool that workers may call, as a decorator.

        A generator function answers a stream. The function runs on a thread that waits
        for the pit, in call() and its kin, or that takes its endings.

        session    an id: only jobs of that session see it
        with_call  True: the first argument is a ToolCall that tells of the caller
        hidden     True: it is not told to workers that ask for a list
        """
        if function is None:
            return lambda made: self.tool(
                made, name=name, session=session, with_call=with_call, hidden=hidden
            )
        _tools.register(self, function, name, session, with_call, hidden)
        return function

    def remove_tool(self, name, *, session=None):
        """Take a tool of the program away; calls of it that run go on."""
        self._tool_unregister(session, name)


def open(
    config=None, *, wait=True, timeout=None, on_event=None, settings=None, **pool
):
    """Open a pit: start its workers and return it.

    config    a path of a YAML file, its text, or a dict of the same form (see
              snakepit.yaml(5)); None: the file in its usual places, or the defaults
    **pool    instead of it, the keys of one pool: adapter="tools.py", size=4
    wait      True: until every worker is ready; the pit is closed when one is not
    timeout   seconds for that; None: the longest startup_timeout of the pools
    on_event  called with a dict for each event of the pit, on a thread of the pit's
    settings  a dict of keys and values that go before those of the configuration, as
              `--set` does: {"pools.default.size": 8}

    Raises UsageError (a mistake in the configuration, with its place), HostError,
    WorkerError, DeadlineError.
    """
    pit = Pit(config, on_event=on_event, settings=settings, **pool)
    if wait:
        try:
            pit.await_ready(timeout)
        except BaseException:
            pit.close()
            raise
    return pit


def _close_all():
    for pit in list(_open_pits):
        pit.close()


atexit.register(_close_all)
