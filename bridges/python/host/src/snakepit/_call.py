# SPDX-License-Identifier: MIT
"""Calls that end later, and who hears of it.

One thread at a time takes a pit's endings: a thread of the pit's own, started with the
first submit(), or the event loop of the program, while only it calls. Whichever it is
gives each ending to whom it belongs, an event loop's future on that loop's thread.
"""

import concurrent.futures
import logging
import os
import threading

_LEAVE_S = 10.0  # for a loop that is busy with something else


class Call(concurrent.futures.Future):
    """A call that was submitted. All that takes a concurrent.futures.Future takes it.

    result() and exception() with a timeout that passes raise
    concurrent.futures.TimeoutError and leave the call running.
    """

    def __init__(self, pit):
        super().__init__()
        self._pit = pit
        self.id = 0

    def cancel(self):
        """Ask the call to end. True unless it has already ended.

        Its result() raises concurrent.futures.CancelledError from now on. The worker's
        user code is interrupted where its language allows.
        """
        pit = self._pit
        if not super().cancel():
            return False
        if self.set_running_or_notify_cancel() is False and pit is not None:
            pit._cancel_quietly(self.id)
        return True

    def _end(self, value, error):
        self._pit = None
        try:
            if error is None:
                self.set_result(value)
            else:
                self.set_exception(error)
        except concurrent.futures.InvalidStateError:
            pass  # it was cancelled


def _end_future(future, value, error):
    """On the thread of the future's loop."""
    if future.done():
        return  # its task was cancelled
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)


class Dispatcher:
    """Who takes the endings of a pit. Thread: any."""

    def __init__(self, pit, on_event):
        self._pit = pit
        self._on_event = on_event
        self._lock = threading.Lock()
        self._thread = None
        self._stopping = False
        self._is_its_own_end = False
        self._wake = None  # a pipe, (to read, to write)
        self._loop = None
        self._fd = -1

    # ---- who it is ----

    def need_thread(self):
        """Calls may end while nobody runs an event loop."""
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None and not self._stopping:
                self._start_thread()

    def need_loop(self, loop):
        """Calls end on this loop, which runs on this thread."""
        if self._thread is not None or self._loop is loop:
            return
        with self._lock:
            before = self._loop
            if self._thread is not None or before is loop or self._stopping:
                return
            if before is not None and before.is_running():
                self._start_thread()  # two loops: neither may wait for the other
                return
            self._leave(before)
            self._fd = self._pit._fd()
            loop.add_reader(self._fd, self._on_readable, loop)
            self._loop = loop

    def _start_thread(self):
        loop, self._loop = self._loop, None
        self._leave(loop)  # what it still hears it leaves to the thread
        self._wake = os.pipe()
        self._thread = threading.Thread(
            target=self._run, name="snakepit-dispatch", daemon=True
        )
        self._thread.start()

    def _leave(self, loop):
        """Let a loop, or None, look at the descriptor no longer. An event that is set
        once it does not, or None when that is so already."""
        if loop is None or loop.is_closed():
            return None
        if not loop.is_running() or _runs_here(loop):
            loop.remove_reader(self._fd)
            return None
        gone = threading.Event()

        def leave():
            loop.remove_reader(self._fd)
            gone.set()

        try:
            loop.call_soon_threadsafe(leave)
        except RuntimeError:
            return None  # it has been closed just now
        return gone

    def stop(self):
        """Nobody takes any more; what ends with the pit is for deliver()."""
        self._pit._end()
        with self._lock:
            self._stopping = True
            thread, self._thread = self._thread, None
            loop, self._loop = self._loop, None
            gone = self._leave(loop)
        if gone is not None:
            gone.wait(_LEAVE_S)  # the descriptor is about to be closed
        if thread is None:
            return
        if thread is threading.current_thread():
            self._is_its_own_end = True  # a callback closes the pit
            return
        os.write(self._wake[1], b"x")
        thread.join()
        self._close_wake()

    def _close_wake(self):
        os.close(self._wake[0])
        os.close(self._wake[1])

    # ---- taking ----

    def _run(self):
        while not self._stopping:
            try:
                endings = self._pit._dispatch(self._wake[0])
            except Exception:
                logging.getLogger("snakepit").exception("the dispatching thread ends")
                return
            self.deliver(endings)
        if self._is_its_own_end:
            self._close_wake()

    def _on_readable(self, loop):
        if loop is not self._loop:
            return  # a thread has taken over
        self.deliver(self._pit._dispatch(-1))

    def deliver(self, endings):
        """Give each ending, and each event, to whom it belongs."""
        for target, value, error in endings:
            if type(target) is Call:
                target._end(value, error)
            elif target is None:
                self._tell(value)
            else:
                self._deliver_to_loop(target, value, error)

    def _deliver_to_loop(self, future, value, error):
        loop = future.get_loop()
        if _runs_here(loop):
            _end_future(future, value, error)
            return
        try:
            loop.call_soon_threadsafe(_end_future, future, value, error)
        except RuntimeError:
            pass  # the loop is closed: nobody waits

    def _tell(self, event):
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception:
            logging.getLogger("snakepit").exception("on_event(%r)", event["kind"])


def _runs_here(loop):
    from asyncio import _get_running_loop

    return _get_running_loop() is loop
