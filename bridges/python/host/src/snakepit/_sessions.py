# SPDX-License-Identifier: MIT
"""A session of a pit: calls that belong together, and variables between them."""

from ._errors import NotFoundError


class Session:
    """A session by its id, with the calls of a Pit and the variables as a mapping.

    ``session["name"]`` reads, ``session["name"] = value`` sets or registers, with the type
    that fits the value. Workers see the same ones as ``ctx["name"]``. As a context
    manager it is deleted at the end.
    """

    def __init__(self, pit, id):
        self._pit = pit
        self.id = id

    def __repr__(self):
        return f"<snakepit.Session {self.id!r}>"

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        try:
            self.delete()
        except NotFoundError:
            pass  # its time was over

    # ---- calls ----

    def call(self, tool, /, *args, **named):
        """As Pit.call(), in this session."""
        return self._pit.call(tool, *args, session=self.id, **named)

    def call_many(self, tool, items, **options):
        """As Pit.call_many(), in this session."""
        return self._pit.call_many(tool, items, session=self.id, **options)

    def submit(self, tool, /, *args, **named):
        """As Pit.submit(), in this session."""
        return self._pit.submit(tool, *args, session=self.id, **named)

    def map(self, tool, iterable, **options):
        """As Pit.map(), in this session."""
        return self._pit.map(tool, iterable, session=self.id, **options)

    def stream(self, tool, /, *args, **named):
        """As Pit.stream(), in this session."""
        return self._pit.stream(tool, *args, session=self.id, **named)

    def acall(self, tool, /, *args, **named):
        """As Pit.acall(), in this session."""
        return self._pit.acall(tool, *args, session=self.id, **named)

    def astream(self, tool, /, *args, **named):
        """As Pit.astream(), in this session."""
        return self._pit.astream(tool, *args, session=self.id, **named)

    def amap(self, tool, iterable, **options):
        """As Pit.amap(), in this session."""
        return self._pit.amap(tool, iterable, session=self.id, **options)

    def function(self, tool, /, **options):
        """As Pit.function(), in this session."""
        return self._pit.function(tool, session=self.id, **options)

    # ---- variables ----

    def register(self, name, value, type=None):
        """Register a variable: type is one of "float", "integer", "string", "boolean",
        "choice", "module", "embedding", "tensor", "list", "map"; None: what fits."""
        self._pit._variable_set(self.id, name, type or _type_of(value), value)

    def __getitem__(self, name):
        return self._pit._variable_get(self.id, name)

    def __setitem__(self, name, value):
        self._pit._variable_set(self.id, name, None, value)

    def __delitem__(self, name):
        self._pit._variable_delete(self.id, name)

    def get(self, name, default=None):
        """The variable's value, or the default when there is none."""
        try:
            return self[name]
        except NotFoundError:
            return default

    def __iter__(self):
        return iter(self._pit._variables(self.id))

    def __len__(self):
        return len(self._pit._variables(self.id))

    def __contains__(self, name):
        return name in self._pit._variables(self.id)

    # ---- itself ----

    def info(self):
        """What is known of it: a dict. Counts as use."""
        return self._pit._session_get(self.id)

    def delete(self):
        """Delete it with all that is in it."""
        self._pit._session_delete(self.id)


def _type_of(value):
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "float"
    if isinstance(value, str):
        return "string"
    return "map" if isinstance(value, dict) else "list"
