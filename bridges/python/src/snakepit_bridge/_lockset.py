# SPDX-License-Identifier: MIT
"""Finding state that several threads change without a common lock, while they run.

The method is that of Eraser (Savage and others, 1997): for every variable the set of locks
that were held at each access so far. As long as one thread alone has it, nothing is
asked; once a second one comes, the locks of every access are intersected, and when none
is left of a variable that is written to, no lock protects it. That needs no unlucky moment:
a run in which the calls did not meet finds it too.

Variables are the attributes of a watched object, and what is in a dict, a list or a set
that is one of them. Locks are those made while tracking is on (`threading.Lock`,
`threading.RLock`), and those that are attributes of a watched object.

A container is watched by putting one that tells in its place, when it is next read and
only the object refers to it. One that others refer to as well stays what it is, unwatched:
in two places there would be two of them.
"""

import sys
import threading
import weakref

_new_lock = threading.Lock
_new_rlock = threading.RLock
_LOCK_TYPES = (type(_new_lock()), type(_new_rlock()))
_held = threading.local()
_probe = {"alone": []}
_ALONE = sys.getrefcount(_probe["alone"])  # nothing but the dict refers to it
_HERE = (__file__, threading.__file__)


def _locks_held():
    try:
        return _held.counts
    except AttributeError:
        _held.counts = {}
        return _held.counts


class TrackedLock:
    """A lock that its thread knows it holds. Everything else is the lock's own."""

    def __init__(self, lock):
        self._lock = lock

    def acquire(self, *args, **kwargs):
        taken = self._lock.acquire(*args, **kwargs)
        if taken:
            counts = _locks_held()
            counts[self] = counts.get(self, 0) + 1
        return taken

    def release(self):
        self._lock.release()
        counts = _locks_held()
        left = counts.get(self, 0) - 1
        if left > 0:
            counts[self] = left
        else:
            counts.pop(self, None)  # a plain lock may be let go by another thread

    def __enter__(self):
        self.acquire()
        return self

    def __exit__(self, *exc_info):
        self.release()

    def __getattr__(self, name):
        return getattr(self._lock, name)

    def __repr__(self):
        return f"<tracked {self._lock!r}>"


def track_new_locks():
    """From here on `threading.Lock()` and `threading.RLock()` make tracked ones."""
    threading.Lock = lambda: TrackedLock(_new_lock())
    threading.RLock = lambda: TrackedLock(_new_rlock())


def stop_tracking():
    threading.Lock = _new_lock
    threading.RLock = _new_rlock


def _this_thread():
    """What stands for this thread, and for no later one: numbers are used again."""
    try:
        return _held.token
    except AttributeError:
        _held.token = object()
        return _held.token


class Place:
    """Where an access was made, and by which thread."""

    __slots__ = ("file", "line", "function", "thread", "token", "is_write")

    def __init__(self, token, is_write):
        self.token = token
        frame = sys._getframe(1)
        while frame.f_back is not None and frame.f_code.co_filename in _HERE:
            frame = frame.f_back
        self.file = frame.f_code.co_filename
        self.line = frame.f_lineno
        self.function = frame.f_code.co_name
        self.thread = threading.current_thread().name
        self.is_write = is_write

    def __str__(self):
        what = "written" if self.is_write else "read"
        return f"{what} at {self.file}:{self.line} in {self.function}() on {self.thread}"


class Race:
    """State without a lock: its name, and the two accesses that met."""

    __slots__ = ("variable", "before", "now")

    def __init__(self, variable, before, now):
        self.variable = variable
        self.before = before
        self.now = now

    def __str__(self):
        return (
            f"{self.variable} is changed by several threads without a common lock: "
            f"{self.now}; before, {self.before}"
        )


class Variable:
    """What is known of one: who had it, and which locks were always held."""

    __slots__ = ("name", "owner", "locks", "is_written", "last", "other", "is_told",
                 "is_left")

    def __init__(self, name):
        self.name = name
        self.owner = None  # the only thread so far
        self.locks = None  # those of every access since a second one came
        self.is_written = False  # since then
        self.last = None
        self.other = None  # the last one by another thread than that
        self.is_told = False
        self.is_left = False  # its container was left alone, and that was told


class Tracker:
    """The variables of the objects it watches. ``on_race(race)`` is called once for each
    of them, on the thread that has just made the access; ``on_unwatched(name)`` once for
    each attribute whose container was left alone when it was read."""

    def __init__(self, on_race, on_unwatched=None):
        self._on_race = on_race
        self._on_unwatched = on_unwatched
        self._guard = _new_lock()
        self._classes = {}

    def access(self, variable, is_write):
        thread = _this_thread()
        if variable.owner is None:
            variable.owner = thread
        if variable.locks is None and variable.owner is thread:
            if is_write or variable.last is None:
                variable.last = Place(thread, is_write)
            return
        held = set(_locks_held())
        place = Place(thread, is_write)
        race = None
        with self._guard:
            if variable.last is not None and variable.last.token is not thread:
                variable.other = variable.last
            variable.last = place
            variable.is_written |= is_write
            variable.locks = held if variable.locks is None else variable.locks & held
            if not variable.locks and variable.is_written and not variable.is_told:
                variable.is_told = True
                race = Race(variable.name, variable.other, place)
        if race is not None:
            self._on_race(race)

    # ---- objects ----

    def watch(self, subject, name=None):
        """Watch the attributes of an object from here on. Its class must let the class of
        its objects be changed (no C types); TypeError otherwise."""
        cls = type(subject)
        name = cls.__name__ if name is None else name
        variables = {}
        attributes = vars(subject)
        for key, value in list(attributes.items()):
            if isinstance(value, _LOCK_TYPES):
                attributes[key] = TrackedLock(value)
        subject.__class__ = self._watched_class(cls)
        self._classes[id(subject)] = (name, variables)
        weakref.finalize(subject, self._classes.pop, id(subject), None)
        return subject

    def _variable(self, subject, key):
        name, variables = self._classes.get(id(subject), (None, None))
        if variables is None:
            return None
        variable = variables.get(key)
        if variable is None:
            with self._guard:
                variable = variables.setdefault(key, Variable(f"{name}.{key}"))
        return variable

    def _touch(self, subject, key, is_write):
        variable = self._variable(subject, key)
        if variable is not None:
            self.access(variable, is_write)

    def _watched_class(self, cls):
        tracker = self

        def __getattribute__(self, key):
            attributes = cls.__getattribute__(self, "__dict__")
            if key.startswith("__") or key not in attributes:
                return cls.__getattribute__(self, key)
            tracker._put_container(self, attributes, key)
            value = cls.__getattribute__(self, key)
            tracker._touch(self, key, False)
            return value

        def __setattr__(self, key, value):
            tracker._touch(self, key, True)
            if isinstance(value, _LOCK_TYPES):
                value = TrackedLock(value)
            cls.__setattr__(self, key, value)

        def __delattr__(self, key):
            tracker._touch(self, key, True)
            cls.__delattr__(self, key)

        return type(cls.__name__, (cls,), {
            "__getattribute__": __getattribute__,
            "__setattr__": __setattr__,
            "__delattr__": __delattr__,
            "__module__": cls.__module__,
            "__qualname__": cls.__qualname__,
            "__doc__": cls.__doc__,
        })

    # ---- values ----

    def _put_container(self, subject, attributes, key):
        """Before an attribute is read: let its container tell, when nobody else has it.
        Whoever reads it comes by here first, so nobody gets it meanwhile."""
        if type(attributes.get(key)) not in _CONTAINERS:
            return
        variable = self._variable(subject, key)
        if variable is None:
            return
        with self._guard:
            container = _CONTAINERS.get(type(attributes.get(key)))
            if container is None:
                return
            is_alone = sys.getrefcount(attributes[key]) == _ALONE
            if is_alone:
                tracked = container(attributes[key])
                contents = Variable(f"the contents of {variable.name}")
                tracked._watched_by = (self, contents)
                attributes[key] = tracked
            is_news = not is_alone and not variable.is_left
            variable.is_left |= not is_alone
        if is_news and self._on_unwatched is not None:
            self._on_unwatched(variable.name)


def _tracked_container(base, writers, readers):
    """A subclass of a container whose methods tell of their accesses."""

    def telling(name, is_write):
        method = getattr(base, name)

        def told(self, *args, **kwargs):
            watched_by = getattr(self, "_watched_by", None)
            if watched_by is not None:
                watched_by[0].access(watched_by[1], is_write)
            return method(self, *args, **kwargs)

        told.__name__ = name
        return told

    members = {name: telling(name, True) for name in writers if hasattr(base, name)}
    members.update(
        (name, telling(name, False)) for name in readers if hasattr(base, name)
    )
    return type(base.__name__, (base,), members)


_READERS = ("__getitem__", "__contains__", "__iter__", "__len__", "__eq__", "get", "keys",
            "values", "items", "copy", "index", "count", "union", "issubset")
_CONTAINERS = {
    dict: _tracked_container(
        dict, ("__setitem__", "__delitem__", "__ior__", "pop", "popitem", "clear",
               "update", "setdefault"), _READERS),
    list: _tracked_container(
        list, ("__setitem__", "__delitem__", "__iadd__", "__imul__", "append", "extend",
               "insert", "pop", "remove", "clear", "sort", "reverse"), _READERS),
    set: _tracked_container(
        set, ("__ior__", "__iand__", "__isub__", "__ixor__", "add", "discard", "remove",
              "pop", "clear", "update", "intersection_update", "difference_update",
              "symmetric_difference_update"), _READERS),
}
