# SPDX-License-Identifier: MIT
"""The types of variables."""

from enum import Enum


class VariableType(Enum):
    """Accepted wherever a type's name is."""

    FLOAT = "float"
    INTEGER = "integer"
    STRING = "string"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    MODULE = "module"
    EMBEDDING = "embedding"
    TENSOR = "tensor"
    MAP = "map"
    LIST = "list"

    def to_proto(self):
        """The name on the wire."""
        return self.value

    @classmethod
    def from_proto(cls, name):
        """The type of a name. Raises ValueError for one that is none."""
        return cls(str(name).lower())


_INFERRED = {
    bool: VariableType.BOOLEAN,
    int: VariableType.INTEGER,
    float: VariableType.FLOAT,
    str: VariableType.STRING,
    dict: VariableType.MAP,
    list: VariableType.LIST,
    tuple: VariableType.LIST,
}


def infer_type(value):
    """The type a new variable gets from its first value: string for what is no plain
    Python value."""
    for cls in type(value).__mro__:
        if cls in _INFERRED:
            return _INFERRED[cls]
    return VariableType.STRING
