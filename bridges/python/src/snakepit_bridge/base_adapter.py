# SPDX-License-Identifier: MIT
"""Adapters: classes whose methods are a worker's tools.

A tool is a method with the ``@tool`` decorator, called with keyword arguments, or a
method named ``execute_<command>``, called with all arguments as one dict. Either may be
a coroutine, a generator or an async generator. One instance serves all calls of its
worker; what it keeps in ``self`` lasts as long as the worker.
"""

from . import _spec


class ToolMetadata:
    """What the decorator attaches to a function as ``_tool_metadata``."""

    __slots__ = (
        "description",
        "supports_streaming",
        "parameters",
        "required_variables",
        "idempotent",
    )

    def __init__(
        self,
        description="",
        supports_streaming=False,
        parameters=None,
        required_variables=None,
        idempotent=False,
    ):
        self.description = description
        self.supports_streaming = supports_streaming
        self.parameters = [] if parameters is None else parameters
        self.required_variables = (
            [] if required_variables is None else required_variables
        )
        self.idempotent = idempotent

    def _key(self):
        return tuple(getattr(self, name) for name in self.__slots__)

    def __eq__(self, other):
        if type(other) is not ToolMetadata:
            return NotImplemented
        return self._key() == other._key()

    __hash__ = None

    def __repr__(self):
        pairs = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"ToolMetadata({pairs})"


class ParameterSpec:
    """A parameter as it is announced. ``validation_json`` holds the default, if any."""

    __slots__ = ("name", "type", "description", "required", "validation_json")

    def __init__(
        self, name, type="any", description="", required=True, validation_json=""
    ):
        self.name = name
        self.type = type
        self.description = description
        self.required = required
        self.validation_json = validation_json

    def __repr__(self):
        return f"<ParameterSpec {self.name}: {self.type}>"


class ToolRegistration:
    """A tool as it is announced."""

    __slots__ = ("name", "description", "parameters", "metadata", "supports_streaming")

    def __init__(
        self,
        name,
        description="",
        parameters=(),
        metadata=None,
        supports_streaming=False,
    ):
        self.name = name
        self.description = description
        self.parameters = list(parameters)
        self.metadata = {} if metadata is None else metadata
        self.supports_streaming = supports_streaming

    def __repr__(self):
        return f"<ToolRegistration {self.name}>"


def tool(
    description="",
    supports_streaming=None,
    required_variables=None,
    idempotent=False,
):
    """Make a method a tool: ``@tool`` or ``@tool(description=..., ...)``.

    description         default: the first paragraph of the docstring
    supports_streaming  default: whether the method is a generator
    required_variables  names of session variables it needs; announced, nothing more
    idempotent          running it twice does no harm: a call whose worker died is sent
                        to another one
    """

    def decorate(function):
        streaming = supports_streaming
        if streaming is None:
            streaming = _spec.is_stream(function)
        function._tool_metadata = ToolMetadata(
            description=description or _spec.summary(function),
            supports_streaming=bool(streaming),
            required_variables=list(required_variables or ()),
            idempotent=bool(idempotent),
        )
        return function

    if callable(description):
        function, description = description, ""
        return decorate(function)
    return decorate


def members(instance):
    """(name, value) of what an instance and its classes define, nearest wins, in the
    order of definition. Special names are left out; properties are not evaluated."""
    cls = type(instance)
    found = {}
    for klass in reversed(cls.__mro__[:-1]):
        for name, value in vars(klass).items():
            found[name] = value
    found.update(getattr(instance, "__dict__", {}))
    for name, value in found.items():
        if name.startswith("__") or isinstance(value, property):
            continue
        yield name, value


def metadata_of(value):
    """The ToolMetadata of a function, also inside staticmethod and classmethod."""
    metadata = getattr(value, "_tool_metadata", None)
    if metadata is None:
        metadata = getattr(getattr(value, "__func__", None), "_tool_metadata", None)
    return metadata


class BaseAdapter:
    """Base class of adapters. Subclasses that define ``__init__`` call it without
    arguments through ``super()``.

    Optional methods of a subclass: ``initialize()`` before the first call and
    ``cleanup()`` after the last; ``on_session_end(session)`` when a session is over
    whose calls have run here; all three plain or async; ``set_session_context(context)``
    before each call; ``execute_tool(tool_name, arguments, context)``, which then gets
    every call whose name is not an ``execute_<command>`` method's.
    """

    def __init__(self):
        self._session_context = None
        self._tools_cache = None

    @property
    def session_context(self):
        """What set_session_context() was given, else the running call's context.

        A context of another call, which set_session_context() got while this one waited
        between two chunks of its stream, gives way to this one's.
        """
        from .session_context import SessionContext, current

        given = self.__dict__.get("_session_context")
        if given is None or (isinstance(given, SessionContext) and given.is_a_calls):
            return current() or given
        return given

    @session_context.setter
    def session_context(self, context):
        self._session_context = context

    @property
    def session_id(self):
        """The caller's session, "" when there is none."""
        context = self.session_context
        return context.session_id if context is not None else ""

    def set_session_context(self, context):
        """Called before each call, in subclasses that override it."""
        self.session_context = context

    def get_tools(self):
        """The adapter's tools as a list of ToolRegistration."""
        if self.__dict__.get("_tools_cache") is None:
            self._tools_cache = [
                self._create_tool_registration(name, getattr(self, name), metadata)
                for name, metadata in self._tool_members()
            ]
        return self._tools_cache

    def _tool_members(self):
        for name, value in members(self):
            metadata = metadata_of(value)
            if metadata is not None:
                yield name, metadata
        if callable(getattr(self, "execute_tool", None)):
            yield "execute_tool", ToolMetadata("Runs any tool of the adapter by name")

    def _create_tool_registration(self, name, method, metadata):
        return ToolRegistration(
            name,
            metadata.description,
            [self._create_parameter_spec(p.name, p) for p in _spec.parameters(method)],
            {
                "adapter_class": type(self).__name__,
                "module": type(self).__module__,
                "required_variables": ",".join(metadata.required_variables),
            },
            metadata.supports_streaming,
        )

    def _create_parameter_spec(self, name, param):
        spec = ParameterSpec(name, param.type, param.description, param.required)
        if not param.required:
            spec.validation_json = default_json({"default": param.default})
        return spec

    def call_tool(self, tool_name, **kwargs):
        """Call a method by name, decorated or not.

        Raises ValueError when there is none of that name.
        """
        method = getattr(self, tool_name, None)
        if method is None:
            raise ValueError(f"tool {tool_name!r} not found in {type(self).__name__}")
        if not callable(method):
            raise ValueError(f"{tool_name!r} of {type(self).__name__} is not callable")
        return method(**kwargs)


def default_json(value):
    """A default value as JSON text."""
    from . import _worker

    def fallback(other):
        from ._values import substitute

        return substitute(other)

    return _worker.encode(value, fallback).decode("utf-8")
