# SPDX-License-Identifier: MIT
"""A pit inside an event loop; loaded with the first call of that kind.

Endings are taken by the loop itself, which watches the pit's descriptor: no thread, no
lock. Streams are pulled by a thread each, at most AHEAD chunks further than the program
has read.
"""

import asyncio
import collections
import threading

AHEAD = 64  # chunks
_FULL_PAUSE = 0.005  # seconds after which a full queue is tried again


def start(pit, tool, arguments, options):
    """(future of the running loop, id) of a call that has begun."""
    loop = asyncio.get_running_loop()
    pit._dispatcher.need_loop(loop)
    future = loop.create_future()
    return future, pit._start(future, tool, arguments, options)


async def call(pit, tool, arguments, options):
    """The tool's answer."""
    future, identity = start(pit, tool, arguments, options)
    try:
        return await future
    except asyncio.CancelledError:
        pit._cancel_quietly(identity)
        raise


# ---- maps ----


async def _items(iterable):
    if hasattr(type(iterable), "__aiter__"):
        async for item in iterable:
            yield item
        return
    for item in iterable:
        yield item


class _Window:
    """Calls under way: in order of their items, or as they end."""

    def __init__(self, pit, tool, options, is_ordered):
        self._start = (pit, tool, options)
        self._is_ordered = is_ordered
        self._line = collections.deque()
        self._ended = collections.deque()
        self._news = asyncio.Event()
        self.length = 0

    def put(self, arguments):
        pit, tool, options = self._start
        future, identity = start(pit, tool, arguments, options)
        place = (future, identity, arguments)
        self._line.append(place)
        self.length += 1
        if not self._is_ordered:
            future.add_done_callback(lambda _: self._on_end(place))

    def _on_end(self, place):
        self._ended.append(place)
        self._news.set()

    async def _next_place(self):
        if self._is_ordered:
            place = self._line[0]
            if not place[0].done():
                await asyncio.wait([place[0]])
            self._line.popleft()
            return place
        while not self._ended:
            self._news.clear()
            await self._news.wait()
        place = self._ended.popleft()
        self._line.remove(place)
        return place

    async def take(self):
        """(value, error) of the call whose turn it is."""
        from ._errors import QueueFullError

        while True:
            place = await self._next_place()
            error = place[0].exception()
            self.length -= 1
            if not isinstance(error, QueueFullError):
                return (None, error) if error else (place[0].result(), None)
            await asyncio.sleep(_FULL_PAUSE)  # others fill it
            self.put(place[2])
            if self._is_ordered:
                self._line.rotate(1)

    def cancel(self):
        pit = self._start[0]
        for future, identity, _ in self._line:
            if not future.done():
                future.cancel()
                pit._cancel_quietly(identity)


async def map_over(pit, tool, iterable, options, in_flight, is_ordered, gives_errors):
    """The results of a tool for every item."""
    from ._pit import arguments_of_item

    window = _Window(pit, tool, options, is_ordered)
    items = _items(iterable)
    is_over = False
    try:
        while True:
            while not is_over and window.length < in_flight:
                try:
                    item = await items.__anext__()
                except StopAsyncIteration:
                    is_over = True
                else:
                    window.put(arguments_of_item(item))
            if window.length == 0:
                return
            value, error = await window.take()
            if error is not None and not gives_errors:
                raise error
            yield value if error is None else error
    finally:
        window.cancel()
        await items.aclose()


# ---- streams ----


class _Pump:
    """A thread that pulls a stream into a bounded queue of the loop's."""

    def __init__(self, stream, loop):
        self._stream = stream
        self._loop = loop
        self._room = threading.Semaphore(AHEAD)
        self._queue = collections.deque()
        self._news = asyncio.Event()
        self._is_left = False
        self._thread = threading.Thread(
            target=self._run, name="snakepit-stream", daemon=True
        )
        self._thread.start()

    def _run(self):
        end = None
        try:
            for chunk in self._stream:
                self._push((chunk, None))
                self._room.acquire()
                if self._is_left:
                    break
        except BaseException as error:
            end = error
        self._push((None, end or StopAsyncIteration()))

    def _push(self, entry):
        self._queue.append(entry)
        try:
            self._loop.call_soon_threadsafe(self._news.set)
        except RuntimeError:
            self._is_left = True  # the loop is closed

    async def next(self):
        while not self._queue:
            self._news.clear()
            await self._news.wait()
        chunk, end = self._queue.popleft()
        if end is not None:
            raise end
        self._room.release()
        return chunk

    async def leave(self):
        self._is_left = True
        self._room.release()
        self._stream.cancel()
        await self._loop.run_in_executor(None, self._thread.join)
        self._stream.close()


async def stream(pit, tool, arguments, options):
    """The chunks of a streaming tool."""
    pump = _Pump(pit._stream(tool, arguments, options), asyncio.get_running_loop())
    try:
        while True:
            try:
                chunk = await pump.next()
            except StopAsyncIteration:
                return
            yield chunk
    finally:
        await pump.leave()
