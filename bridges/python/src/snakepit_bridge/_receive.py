# SPDX-License-Identifier: MIT
"""What a call goes on receiving: iterators, plain and async, over a source of the host.

In a coroutine a thread waits for the next item. It is waited for once: when nobody
wants it any more (a time limit, a cancelled task), the item it brings is the next
one given.
"""

from ._reply import running_loop, start_long

TIMED_OUT = None  # what a source's next() says, beside an item
ENDED = False


class Receiver:
    """Needs of its class: _begin() opens the source, _item() makes what is given of
    what came."""

    def __init__(self, context):
        self._context = context
        self._source = None
        self._ended = False
        self._waiting = None  # the future of a thread that waits for the next item
        self._opening = None
        if running_loop() is None:
            self._source = self._begin()
        else:  # begun now, not when the first item is asked for
            self._opening = start_long(self._begin)

    def _open(self):
        if self._source is None and self._opening is not None:
            self._source = self._opening.result()
        return self._source

    def _take(self, timeout=None):
        """An item, TIMED_OUT or ENDED."""
        if self._ended:
            return ENDED
        found = self._open().next(timeout)
        if found is ENDED:
            self._ended = True
        return found if found is ENDED or found is TIMED_OUT else (self._item(found),)

    def _take_here(self, timeout=None):
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.cancelled():
            return waiting.result()
        return self._take(timeout)

    async def _take_async(self, timeout=None):
        import asyncio

        waiting = self._waiting
        if waiting is None or waiting.cancelled():
            waiting = self._waiting = start_long(self._take)
        wrapped = asyncio.wrap_future(waiting)
        try:
            await asyncio.wait([wrapped], timeout=timeout)
        finally:
            if not wrapped.done():
                wrapped.cancel()  # not the thread: it keeps what it gets
        if not waiting.done() or waiting.cancelled():
            return TIMED_OUT
        self._waiting = None
        return wrapped.result()

    def next(self, timeout=None):
        """The next item; None when ``timeout`` seconds have passed or there is none any
        more. In a coroutine it must be awaited."""
        if running_loop() is not None:
            return self._next_async(timeout)
        found = self._take_here(timeout)
        return found[0] if found else None

    async def _next_async(self, timeout):
        found = await self._take_async(timeout)
        return found[0] if found else None

    @property
    def ended(self):
        """Whether nothing comes any more."""
        return self._ended

    def close(self):
        """Leave the rest. May be called twice."""
        self._ended = True
        opening = self._opening
        if opening is not None and not opening.cancel():
            opening.add_done_callback(_close_opened)
        elif self._source is not None:
            self._source.close()

    def __iter__(self):
        return self

    def __next__(self):
        found = self._take_here()
        if not found:
            raise StopIteration
        return found[0]

    def __aiter__(self):
        return self

    async def __anext__(self):
        found = await self._take_async()
        if not found:
            raise StopAsyncIteration
        return found[0]

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    async def __aenter__(self):
        if self._opening is not None:
            import asyncio

            await asyncio.wrap_future(self._opening)
        return self

    async def __aexit__(self, *exc_info):
        self.close()


def _close_opened(opening):
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
