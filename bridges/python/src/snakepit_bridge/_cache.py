# SPDX-License-Identifier: MIT
"""Values a call has read, for the rest of that call.

The rule: a value from here is at most ``ttl`` seconds old, counted from the moment
it was asked for, and never older than the call itself or than a change this call
made or saw. A change made elsewhere meanwhile is seen when the time is up, when a
watch tells of it, or with ``bypass_cache=True``.
"""

import _thread
import time

TTL_DEFAULT = 5.0  # seconds, as the original had it
_ENTRIES_MAX = 10_000


def copied(value):
    """A value nobody else changes: lists and dicts are copied, all the way down."""
    if type(value) is list:
        return [copied(item) for item in value]
    if type(value) is dict:
        return {key: copied(item) for key, item in value.items()}
    return value


class CachedVariable:
    """A variable as it was read, and until when that may be served."""

    __slots__ = ("variable", "cached_at", "ttl")

    def __init__(self, variable, cached_at, ttl):
        self.variable = variable
        self.cached_at = cached_at
        self.ttl = ttl

    @property
    def expired(self):
        return time.monotonic() >= self.cached_at + self.ttl

    def refresh(self, variable):
        """Keep this value, for a time to live that begins now."""
        self.variable = variable
        self.cached_at = time.monotonic()


class Cache:
    """By name and by id. Reads that were on their way while something changed are not
    kept: they may hold what was there before."""

    def __init__(self, ttl=TTL_DEFAULT):
        self.ttl = ttl
        self._own_ttl = {}  # of single variables, by name
        self._entries = {}
        self._changes = 0
        self._lock = _thread.allocate_lock()

    def get(self, identifier):
        """The variable, None when it must be asked for."""
        entry = self._entries.get(identifier)
        if entry is None or entry.expired:
            return None
        return entry.variable

    def before_read(self):
        """To be given to put() with what the read finds."""
        return self._changes, time.monotonic()

    def put(self, variable, before):
        """Keep what a read found."""
        changes, asked_at = before
        ttl = self._own_ttl.get(variable["name"], self.ttl)
        if ttl <= 0:
            return
        with self._lock:
            if changes != self._changes:
                return
            if len(self._entries) >= _ENTRIES_MAX:
                self._entries.clear()
            entry = CachedVariable(variable, asked_at, ttl)
            self._entries[variable["name"]] = self._entries[variable["id"]] = entry

    def set_ttl(self, name, ttl):
        """How long one variable may be served from here."""
        self._own_ttl[name] = ttl

    def drop(self, *identifiers):
        """These have changed, or are about to."""
        with self._lock:
            self._changes += 1
            for identifier in identifiers:
                entry = self._entries.pop(identifier, None)
                if entry is not None:
                    self._entries.pop(entry.variable["name"], None)
                    self._entries.pop(entry.variable["id"], None)

    def clear(self):
        """Anything may have changed."""
        with self._lock:
            self._changes += 1
            self._entries.clear()


class Changing:
    """While this call changes something: ``with Changing(cache, name):``. What is there
    is dropped before and after, so that no read between the two is kept."""

    def __init__(self, cache, *identifiers):
        self._cache = cache
        self._identifiers = identifiers

    def _drop(self):
        if self._identifiers:
            self._cache.drop(*self._identifiers)
        else:
            self._cache.clear()

    def __enter__(self):
        self._drop()

    def __exit__(self, *exc_info):
        self._drop()


def seconds(duration):
    """A time as seconds: a number, or a timedelta."""
    total = getattr(duration, "total_seconds", None)
    return float(total() if total is not None else duration)
