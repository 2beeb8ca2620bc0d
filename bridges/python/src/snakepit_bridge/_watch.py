# SPDX-License-Identifier: MIT
"""A watch: changes of variables in the order in which they were made, none left out."""

from ._receive import Receiver


class Change:
    """One change: ``kind`` ("initial", "registered", "value", "lock", "deleted"), and
    of the variable as it is then ``name``, ``value``, ``version`` and ``variable``.
    """

    __slots__ = ("kind", "variable")

    def __init__(self, kind, variable):
        self.kind = kind
        self.variable = variable

    @property
    def name(self):
        return self.variable["name"]

    @property
    def value(self):
        return self.variable["value"]

    @property
    def version(self):
        return self.variable["version"]

    def __repr__(self):
        return f"<Change {self.kind}: {self.name} = {self.value!r}>"


class Watch(Receiver):
    """Iterate over it, with ``for`` or ``async for``, or take Changes with next().

    It ends when it is closed, when the session ends, and with the call: loops over it
    end then. What it tells of is no longer served from the call's cache.
    """

    def __init__(self, context, identifiers, initial, queue_max):
        self._arguments = (list(identifiers) or None, initial, queue_max)
        super().__init__(context)

    def _begin(self):
        return self._context._ask_state("watch", *self._arguments)

    def _item(self, found):
        kind, variable = found
        self._context._cache.drop(variable["name"], variable["id"])
        return Change(kind, variable)
