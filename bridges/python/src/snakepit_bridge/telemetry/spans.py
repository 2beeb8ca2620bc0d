# SPDX-License-Identifier: MIT
"""Spans: something that takes time, told at its start and at its end.

`name.start` has the measurement system_time, `name.stop` the duration, both in
nanoseconds; an exception that leaves the span makes its end `name.exception`, with
error_type and error_message. Spans nest: each names its trace_id, its span_id and, unless
it is the first, its parent_id, also below the caller's trace.
"""

import functools
import inspect
import os
import time

from . import correlation, emission

_MESSAGE_MAX = 1024


class Span:
    """One span: a context manager, also of `async with`, and a decorator of functions,
    coroutines and generators, which are a new span each time they run."""

    def __init__(self, operation, metadata=None, correlation_id=None):
        self.operation = operation
        self.metadata = dict(metadata or {})
        self.correlation_id = correlation_id
        self.trace_id = self.span_id = ""
        self._begun_ns = 0
        self._mark = 0
        self._tokens = None

    def __enter__(self):
        if emission.is_enabled():
            self._begin()
        return self

    def __exit__(self, cls, exception, trace):
        if self._tokens is not None:
            self._end(exception)
        return False

    async def __aenter__(self):
        return self.__enter__()

    async def __aexit__(self, *failure):
        return self.__exit__(*failure)

    def _begin(self):
        if self.correlation_id is None:
            self.correlation_id = (
                correlation.get_correlation_id() or correlation.new_correlation_id()
            )
        self.trace_id, parent_id = correlation.parent_of_span()
        self.span_id = os.urandom(8).hex()
        self.metadata.update(trace_id=self.trace_id, span_id=self.span_id)
        if parent_id:
            self.metadata["parent_id"] = parent_id
        self._begun_ns = time.perf_counter_ns()
        self._mark = self._send("start", {"system_time": time.time_ns()}, self.metadata)
        self._tokens = (
            correlation.set_correlation_id(self.correlation_id),
            correlation.enter_span(self.trace_id, self.span_id),
        )

    def _end(self, exception):
        duration = {"duration": time.perf_counter_ns() - self._begun_ns}
        (id_token, span_token), self._tokens = self._tokens, None
        try:
            correlation.leave_span(span_token)
            correlation.reset_correlation_id(id_token)
        except ValueError:
            pass  # a generator that another context closes: that one has its own
        if exception is None:
            self._send("stop", duration, self.metadata)
            return
        failure = {
            "error_type": type(exception).__name__,
            "error_message": _message_of(exception),
        }
        self._send("exception", duration, {**self.metadata, **failure})

    def _send(self, stage, measurements, metadata):
        return emission.send(
            f"{self.operation}.{stage}",
            measurements,
            metadata,
            self.correlation_id,
            self._mark,
        )

    def _again(self):
        return Span(self.operation, self.metadata, self.correlation_id)

    def __call__(self, function):
        if inspect.iscoroutinefunction(function):

            async def run(*args, **kwargs):
                with self._again():
                    return await function(*args, **kwargs)

        elif inspect.isasyncgenfunction(function):

            async def run(*args, **kwargs):
                with self._again():
                    async for item in function(*args, **kwargs):
                        yield item

        elif inspect.isgeneratorfunction(function):

            def run(*args, **kwargs):
                with self._again():
                    return (yield from function(*args, **kwargs))

        else:

            def run(*args, **kwargs):
                with self._again():
                    return function(*args, **kwargs)

        return functools.wraps(function)(run)


def span(operation, metadata=None, correlation_id=None):
    """A span of that name: `with span("load"): ...`, or `@span("load")`."""
    return Span(operation, metadata, correlation_id)


def _message_of(exception):
    try:
        return str(exception)[:_MESSAGE_MAX]
    except Exception:
        return ""
