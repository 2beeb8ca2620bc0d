# SPDX-License-Identifier: MIT
"""Answers of the host that work with and without ``await``.

Where no event loop runs, asking blocks and gives the plain value. Inside a coroutine
the question is on its way at once, on a thread of its own, and what comes back is a
Reply: awaited it gives the plain value and other coroutines go on meanwhile; used as
if it were the value it waits for it. Questions about state go out one after the
other, so a read sees the write before it, awaited or not, and so does a tool. Tools
run side by side: what one of them changes is there once it has been awaited.

A Reply that nobody looks at is not lost: the call ends only when all its questions have
been answered, and a failure that nobody saw is then the call's failure.
"""

import _operator as operator  # without what the one in Python costs
import _thread
import math
import sys

_state_lane = None  # one thread: questions about state, in order
_wide_lane = None  # a thread each: tools and watches, which may take long
_WIDE_MAX = 256
_latest = None  # the future of the last question about state
_lock = _thread.allocate_lock()  # round the three
_UNSEEN_MAX = 1000
_local = _thread._local()  # .unseen: of coroutines that a tool runs by itself


def running_loop():
    """The event loop that runs on this thread, or None."""
    asyncio = sys.modules.get("asyncio.events")
    return asyncio._get_running_loop() if asyncio is not None else None


def lane(is_wide):
    """The threads that ask: one for state, or as many as are needed. With the lock."""
    global _state_lane, _wide_lane
    from concurrent.futures import ThreadPoolExecutor

    if is_wide:
        if _wide_lane is None:
            _wide_lane = ThreadPoolExecutor(_WIDE_MAX, "snakepit-ask")
        return _wide_lane
    if _state_lane is None:
        _state_lane = ThreadPoolExecutor(1, "snakepit-state")
    return _state_lane


def _in_order(function, *arguments):
    """A Reply to the next question about state."""
    global _latest
    with _lock:
        latest = _latest = lane(False).submit(function, *arguments)
    return Reply(latest)


def _after(latest, function, *arguments):
    """Do something once an earlier question, or None, has been answered."""
    if latest is not None:
        from concurrent.futures import wait

        wait([latest])
    return function(*arguments)


def ask(function, *arguments):
    """Do something quick that asks the host: its value, or a Reply in a coroutine."""
    if running_loop() is None:
        return function(*arguments)
    return _in_order(function, *arguments)


def start_long(function, *arguments):
    """Do something that may take long on a thread of its own, after the questions about
    state that are on their way; gives a future."""
    with _lock:
        return lane(True).submit(_after, _latest, function, *arguments)


def ask_long(function, *arguments):
    """ask() for what may take long: it holds up no other question."""
    if running_loop() is None:
        return function(*arguments)
    return Reply(start_long(function, *arguments))


def ask_now(function, *arguments):
    """The plain value, in a coroutine too: for operators that cannot be awaited. Waits
    its turn behind the questions already on their way."""
    latest = _latest
    if running_loop() is None or latest is None or latest.done():
        return function(*arguments)
    return _in_order(function, *arguments).result()


def unseen():
    """The replies of the running call that nobody has looked at yet."""
    module = sys.modules.get("snakepit_bridge._async")
    found = module.unseen.get() if module is not None else None
    if found is None:
        found = _local.__dict__.setdefault("unseen", [])
    return found


def settle(replies=None):
    """Wait for what is still on its way, then raise the first failure nobody saw.

    replies  a call's unseen ones; None: of the running one
    """
    if replies is None:
        replies = unseen()
    left, replies[:] = replies[:], []
    failure = None
    for reply in left:
        if reply._future.cancelled():
            continue
        found = reply._future.exception()
        failure = failure or found
    if failure is not None:
        raise failure


async def settled(value, replies):
    """settle() for a coroutine, and what the value stands for."""
    import asyncio

    if type(value) is Reply:
        value = await value
    left, replies[:] = replies[:], []
    futures = [reply._future for reply in left if not reply._future.cancelled()]
    if futures:
        await asyncio.wait([asyncio.wrap_future(future) for future in futures])
    for future in futures:
        if future.exception() is not None:
            raise future.exception()
    return value


def plain(value):
    """What a Reply stands for; anything else as it is."""
    return value.result() if type(value) is Reply else value


class Reply:
    """A value that is on its way. See the module's text."""

    __slots__ = ("_future", "_unseen", "__weakref__")

    def __init__(self, future):
        self._future = future
        self._unseen = unseen()
        if len(self._unseen) >= _UNSEEN_MAX:
            settle(self._unseen)
        self._unseen.append(self)

    def _seen(self):
        with _lock:  # any thread may look, at several of them
            for i, reply in enumerate(self._unseen):
                if reply is self:
                    del self._unseen[i]
                    break
        return self._future

    def result(self, timeout=None):
        """The plain value, waiting for it. Raises what the question failed with."""
        return self._seen().result(timeout)

    def done(self):
        """Whether result() would not wait."""
        return self._future.done()

    def __await__(self):
        import asyncio

        return asyncio.wrap_future(self._seen()).__await__()

    def __getattr__(self, name):
        return getattr(self.result(), name)

    def __hash__(self):
        caller = sys._getframe(1).f_globals.get("__name__", "")
        if caller.startswith("asyncio."):
            return id(self)  # gather() tells its arguments apart; it must not wait
        return hash(self.result())

    def __repr__(self):
        return repr(self.result())

    def __reduce_ex__(self, protocol):
        return (plain, (self.result(),))


_UNARY = {
    "str": str, "format": format, "bytes": bytes, "bool": bool,
    "len": len, "iter": iter, "next": next, "reversed": reversed, "neg": operator.neg,
    "pos": operator.pos, "abs": abs, "invert": operator.invert, "int": int,
    "float": float, "complex": complex, "index": operator.index, "round": round,
    "trunc": math.trunc, "floor": math.floor, "ceil": math.ceil,
    "getitem": operator.getitem, "setitem": operator.setitem,
    "delitem": operator.delitem, "contains": operator.contains,
    "eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "le": operator.le,
    "gt": operator.gt, "ge": operator.ge,
}  # fmt: skip
_BINARY = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul,
    "truediv": operator.truediv, "floordiv": operator.floordiv, "mod": operator.mod,
    "divmod": divmod, "pow": pow, "matmul": operator.matmul, "lshift": operator.lshift,
    "rshift": operator.rshift, "and": operator.and_, "or": operator.or_,
    "xor": operator.xor,
}  # fmt: skip


def _forward(function):
    return lambda self, *others: function(self.result(), *map(plain, others))


def _backward(function):
    return lambda self, other: function(other, self.result())


for _name, _function in _UNARY.items():
    setattr(Reply, f"__{_name}__", _forward(_function))
for _name, _function in _BINARY.items():
    setattr(Reply, f"__{_name}__", _forward(_function))
    setattr(Reply, f"__r{_name}__", _backward(_function))
