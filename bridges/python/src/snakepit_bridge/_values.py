# SPDX-License-Identifier: MIT
"""What stands in for values JSON cannot hold.

The codec calls ``substitute(value)`` for everything that is no dict, list, tuple, str,
int, float, bool or None, and writes the answer instead. In order: the value's own
``model_dump()``, ``to_dict()``, ``_asdict()``, ``tolist()``, ``isoformat()``; then data
classes, enumerations and collections; and for the rest a marker that names the type, so
that the caller sees what got lost and the rest of the result still arrives.
"""

import os
import sys

MARKER = "__ffi_unserializable__"
_MAXLEN_DEFAULT = 500
_MAXLEN_LIMIT = 2000
_ELEMENTS_DEFAULT = 1_000_000


def _number(name, default):
    try:
        return max(0, int(os.environ[name]))
    except (KeyError, ValueError):
        return default


_DETAIL = os.environ.get("SNAKEPIT_UNSERIALIZABLE_DETAIL", "none")
_MAXLEN = min(
    _number("SNAKEPIT_UNSERIALIZABLE_REPR_MAXLEN", _MAXLEN_DEFAULT), _MAXLEN_LIMIT
)
_ELEMENTS_MAX = _number("SNAKEPIT_TOLIST_MAX_ELEMENTS", _ELEMENTS_DEFAULT)


def qualified_name(cls):
    """``module.Class``."""
    return f"{cls.__module__}.{cls.__qualname__}"


def _redacted(text):
    """Without what looks like a secret: long runs of letters and digits, and the values
    of names such as password or token."""
    import re

    text = re.sub(
        r"(?i)((?:pass\w*|secret|token|\w*key)['\"]?\s*[=:]\s*)"
        r"('[^']*'|\"[^\"]*\"|[^\s,;)}]+)",
        r"\1[redacted]",
        text,
    )
    return re.sub(r"[A-Za-z0-9+/_\-]{24,}", "[redacted]", text)


def marker(value):
    """The object that tells the caller what could not be written."""
    result = {MARKER: True, "__type__": qualified_name(type(value))}
    if _DETAIL in ("repr_truncated", "repr_redacted_truncated"):
        try:
            text = repr(value)
        except Exception as failure:
            text = f"<repr raised {type(failure).__name__}>"
        if _DETAIL == "repr_redacted_truncated":
            text = _redacted(text)
        result["__repr__"] = text[:_MAXLEN]
    return result


def _elements(value):
    """How many elements tolist() would give: NumPy has .size, PyTorch .numel()."""
    size = getattr(value, "size", None)
    if callable(size):
        size = value.numel() if hasattr(value, "numel") else None
    return size if isinstance(size, int) else 0


def _converted(value):
    """The value's own idea of itself as plain data; NotImplemented when it has none."""
    for name in ("model_dump", "to_dict", "_asdict", "tolist", "isoformat"):
        if name == "tolist" and _elements(value) > _ELEMENTS_MAX:
            continue
        method = getattr(value, name, None)
        if not callable(method):
            continue
        try:
            result = method()
        except Exception:
            continue  # it needs arguments, or the object is not in the mood
        if result is not value:
            return result
    return NotImplemented


def _collection(value):
    import collections.abc as abc  # the interpreter has loaded it at its own start

    if isinstance(value, (bytes, bytearray, memoryview)):
        return NotImplemented
    if isinstance(value, abc.Mapping):
        return dict(value)
    if isinstance(value, (abc.Set, abc.Sequence, abc.MappingView)):
        return list(value)
    return NotImplemented


def _is_reply(value):
    module = sys.modules.get("snakepit_bridge._reply")
    return module is not None and type(value) is module.Reply


def _is_array_type(value):
    """The type of an array's or a column's elements, in NumPy and in pandas."""
    return any(
        cls.__name__ in ("dtype", "ExtensionDtype")
        and cls.__module__.partition(".")[0] in ("numpy", "pandas")
        for cls in type(value).__mro__
    )


def substitute(value):
    """Something JSON can hold in the place of ``value``."""
    if isinstance(value, type):
        return marker(value)
    if _is_reply(value):
        return value.result()
    result = _converted(value)
    if result is not NotImplemented:
        return result
    fields = getattr(type(value), "__dataclass_fields__", None)
    if fields is not None:
        return {name: getattr(value, name) for name in fields if hasattr(value, name)}
    if hasattr(type(value), "__members__"):
        return value.value
    if _is_array_type(value):
        return str(value)
    result = _collection(value)
    return marker(value) if result is NotImplemented else result
