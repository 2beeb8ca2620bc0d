# SPDX-License-Identifier: MIT
"""What a Python function looks like as a tool: parameters, types, defaults."""

import inspect
import json
import typing

STREAMING = 1 << 2
HIDDEN = 1 << 1
_TYPES = {int: "int", float: "float", str: "str", bool: "bool", list: "list", dict: "dict"}


def _hints(function):
    try:
        return typing.get_type_hints(function)
    except Exception:  # a name that is not there at run time is no reason to refuse
        return {}


def _type_name(hint):
    origin = getattr(hint, "__origin__", None)
    return _TYPES.get(hint) or _TYPES.get(origin) or "any"


def _default(value):
    try:
        return json.dumps(value)
    except (TypeError, ValueError):
        return "null"  # what a list shows; the function has its own


def parameters(function, with_call):
    """Its parameters as the library takes them; [] for one that takes any name."""
    hints = _hints(function)
    found = list(inspect.signature(function).parameters.values())
    if with_call:
        if not found:
            raise TypeError(f"{function.__name__}() has no parameter for its ToolCall")
        found = found[1:]
    result = []
    for parameter in found:
        if parameter.kind is parameter.VAR_KEYWORD:
            return []
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise TypeError(
                f"{function.__name__}(): arguments of a tool come by name, "
                f"{parameter.name!r} takes none"
            )
        if parameter.kind is parameter.VAR_POSITIONAL:
            continue
        is_required = parameter.default is parameter.empty
        result.append(
            (
                parameter.name,
                _type_name(hints.get(parameter.name)),
                None,
                is_required,
                None if is_required else _default(parameter.default),
            )
        )
    return result


def register(pit, function, name, session, with_call, hidden):
    """Make a function of the program a tool that workers may call."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"{function.__name__}() is a coroutine function: tools of the program are "
            "plain functions or generators"
        )
    flags = STREAMING if inspect.isgeneratorfunction(function) else 0
    flags |= HIDDEN if hidden else 0
    pit._tool_register(
        name or function.__name__,
        inspect.getdoc(function) or "",
        session,
        parameters(function, with_call),
        flags,
        with_call,
        function,
    )
