# SPDX-License-Identifier: MIT
"""What a function's parameters are, read from its code object.

``inspect`` would say the same and cost more to import than everything else a worker
needs at its start.
"""

_VARARGS = 0x04  # flags of a code object, as inspect.CO_* has them
_VARKEYWORDS = 0x08
_GENERATOR = 0x20
_ASYNC_GENERATOR = 0x200

_SIMPLE = {
    "str", "int", "float", "bool", "list", "dict", "tuple", "set", "bytes", "bytearray",
    "complex", "frozenset", "any", "object", "none", "nonetype",
}  # fmt: skip
_RENAMED = {"object": "any", "nonetype": "none", "mapping": "dict", "sequence": "list"}

MISSING = object()


class Parameter:
    """One parameter: name, type, whether it must be given, its default."""

    __slots__ = ("name", "type", "description", "default")

    def __init__(self, name, type="any", description="", default=MISSING):
        self.name = name
        self.type = type
        self.description = description
        self.default = default

    @property
    def required(self):
        return self.default is MISSING

    def __repr__(self):
        default = "" if self.required else f" = {self.default!r}"
        return f"<Parameter {self.name}: {self.type}{default}>"


def underlying(callable_):
    """The plain function behind methods, partials of methods and wrappers, or None."""
    seen = 0
    while callable_ is not None and seen < 32:
        seen += 1
        wrapped = getattr(callable_, "__wrapped__", None)
        if wrapped is not None:
            callable_ = wrapped
        elif hasattr(callable_, "__code__"):
            return callable_
        elif hasattr(callable_, "__func__"):
            callable_ = callable_.__func__
        elif isinstance(callable_, type):
            callable_ = callable_.__dict__.get("__init__")
        else:
            callable_ = type(callable_).__dict__.get("__call__")
    return None


def type_name(annotation):
    """An annotation as a word: its name in lower case, "any" when there is none."""
    if isinstance(annotation, str):
        text = annotation.strip("'\" ").split("[", 1)[0]
        name = text.rsplit(".", 1)[-1].lower()
    else:
        origin = getattr(annotation, "__origin__", annotation)
        name = getattr(origin, "__name__", None) or getattr(annotation, "_name", None)
        name = name.lower() if isinstance(name, str) else "any"
    name = _RENAMED.get(name, name)
    return name if name in _SIMPLE else "any"


def _annotations(function):
    try:
        return function.__annotations__
    except Exception:
        return {}  # evaluated late, and one of its names does not exist


def parameters(callable_, bound=None):
    """The parameters a caller may give.

    bound  how many leading ones are filled already; by default one for methods
    """
    function = underlying(callable_)
    if function is None:
        return []
    if bound is None:
        bound = 1 if _takes_self(callable_) else 0
    code = function.__code__
    annotations = _annotations(function)
    if takes_context(callable_):
        bound += 1
    positional = code.co_varnames[: code.co_argcount]
    keyword_only = code.co_varnames[
        code.co_argcount : code.co_argcount + code.co_kwonlyargcount
    ]
    defaults = function.__defaults__ or ()
    known = dict(zip(positional[len(positional) - len(defaults) :], defaults))
    known.update(function.__kwdefaults__ or {})
    return [
        Parameter(
            name,
            type_name(annotations[name]) if name in annotations else "any",
            default=known.get(name, MISSING),
        )
        for name in (*positional[bound:], *keyword_only)
    ]


def _takes_self(callable_):
    if isinstance(callable_, type):
        return True
    if getattr(callable_, "__self__", None) is not None:
        return True
    return not hasattr(callable_, "__code__") and not hasattr(callable_, "__wrapped__")


def takes_context(callable_):
    """Whether the first parameter is the call's SessionContext: annotated so, or named
    ctx without an annotation and without a default."""
    function = underlying(callable_)
    if function is None or isinstance(callable_, type):
        return False
    code = function.__code__
    index = 1 if _takes_self(callable_) else 0
    if index >= code.co_argcount:
        return False
    name = code.co_varnames[index]
    annotation = _annotations(function).get(name)
    if annotation is None:
        defaults = len(function.__defaults__ or ())
        return name == "ctx" and index < code.co_argcount - defaults
    text = annotation
    if not isinstance(text, str):
        text = getattr(annotation, "__name__", "")
    return text.strip("'\" ").rsplit(".", 1)[-1] == "SessionContext"


def rests(callable_):
    """What takes the arguments that have no parameter of their own: "*", "**". Of what
    cannot be looked into, anything is thinkable."""
    function = underlying(callable_)
    flags = function.__code__.co_flags if function is not None else _VARARGS | _VARKEYWORDS
    return ["*"] * bool(flags & _VARARGS) + ["**"] * bool(flags & _VARKEYWORDS)


def takes_any_keyword(callable_):
    """Whether the function has a **parameter."""
    function = underlying(callable_)
    return function is not None and bool(function.__code__.co_flags & _VARKEYWORDS)


def is_stream(callable_):
    """Whether calling the function makes a generator or an async generator."""
    function = underlying(callable_)
    if function is None:
        return False
    return bool(function.__code__.co_flags & (_GENERATOR | _ASYNC_GENERATOR))


def summary(callable_):
    """The first paragraph of the docstring, on one line; '' without one."""
    doc = getattr(callable_, "__doc__", None)
    if not isinstance(doc, str):
        return ""
    return " ".join(doc.strip().split("\n\n", 1)[0].split())
