# SPDX-License-Identifier: MIT
"""Functions of the host, and tools of other workers, as methods of SessionContext.

A call of such a tool may take as long as the tool does. Whatever it changed is seen
afterwards: the call's cache of variables is emptied.
"""

from collections import deque
from collections.abc import Mapping

from . import _worker
from ._cache import Changing, seconds
from ._receive import Receiver
from ._reply import ask_long, ask_now, plain, start_long
from ._values import substitute
from .errors import HostError, ToolNotFound

_IN_FLIGHT_MAX = 256  # a thread each


def _milliseconds(timeout):
    return 0 if timeout is None else max(1, int(seconds(timeout) * 1000))


def _arguments(arguments, keywords):
    """The tool's arguments as one dict."""
    merged = dict(arguments or {})
    merged.update(keywords)
    return {name: plain(value) for name, value in merged.items()}


def _encoded(arguments):
    """The JSON of arguments, and the arrays it speaks of."""
    return _worker.encode_parts(arguments, substitute, _worker.PART)


class ToolCalls:
    """Needs of its class: _asking() gives the running call, _cache its cache."""

    def _begin_tools(self):
        self._local_tools = {}
        self._host_tools = None

    # ---- functions of the host ----

    @property
    def host_tools(self):
        """The functions the host offers to this session, by name: a HostTools, which is
        a mapping and has them as attributes too. Read from the host once per call."""
        if self._call is None:
            return HostTools(self, ())
        if self._host_tools is None:
            try:
                found = ask_now(lambda: self._asking().host_tools())
            except HostError as failure:
                self._warn(f"the host's tools are not known: {failure}")
                return HostTools(self, ())
            self._host_tools = HostTools(self, found)
        return self._host_tools

    @property
    def elixir_tools(self):
        """host_tools, under its older name."""
        return self.host_tools

    def refresh_host_tools(self):
        """Ask for them anew: some may have been registered meanwhile."""
        self._host_tools = None
        return self.host_tools

    def call_host_tool(self, tool_name, /, arguments=None, *, timeout=None, **keywords):
        """Call a function of the host and give its result.

        arguments  for names that are taken here, such as "timeout"
        timeout    seconds, at most what is left of this call's own time

        ToolNotFound, ToolArgumentsError and ToolError say what went wrong.
        """
        return ask_long(
            self._run_tool,
            tool_name,
            _encoded(_arguments(arguments, keywords)),
            timeout,
            None,
        )

    def call_elixir_tool(self, tool_name, **parameters):
        """call_host_tool(), under its older name."""
        return ask_long(
            self._run_tool,
            tool_name,
            _encoded(_arguments(None, parameters)),
            None,
            None,
        )

    def stream_host_tool(
        self, tool_name, /, arguments=None, *, timeout=None, **keywords
    ):
        """Call a function of the host that gives a stream: a ToolStream, for ``for``
        and ``async for``."""
        return ToolStream(
            self, tool_name, _arguments(arguments, keywords), timeout, None
        )

    # ---- tools of other workers ----

    def call_tool(
        self, tool_name, /, arguments=None, *, pool=None, timeout=None, **keywords
    ):
        """Call a tool wherever it is: registered here with register_tool(), a function
        of the host, or another worker's.

        pool  the pool of workers to look in; None: any that has it
        """
        arguments = _arguments(arguments, keywords)
        local = self._local_tools.get(tool_name) if pool is None else None
        if local is not None:
            return local(**arguments)
        return ask_long(
            self._run_tool, tool_name, _encoded(arguments), timeout, pool or ""
        )

    def stream_tool(
        self, tool_name, /, arguments=None, *, pool=None, timeout=None, **keywords
    ):
        """The same for a tool that gives a stream: a ToolStream."""
        arguments = _arguments(arguments, keywords)
        return ToolStream(self, tool_name, arguments, timeout, pool or "")

    # ---- many calls ----

    def map_tool(self, tool_name, iterable, *, pool=None, in_flight=16, timeout=None):
        """Call a tool, found as call_tool() does, for every dict of arguments of an
        iterable: a generator of the results, in the order of the items.

        in_flight  calls under way at once, 1 to 256; the iterable is read no further

        A failure is raised in its place and ends it; what has not begun then never does.
        """
        if not 1 <= in_flight <= _IN_FLIGHT_MAX:
            raise ValueError(f"in_flight={in_flight}: 1 to {_IN_FLIGHT_MAX} are allowed")
        return self._map(tool_name, iterable, pool or "", in_flight, timeout)

    def call_many(self, tool_name, items, *, pool=None, in_flight=16, timeout=None):
        """The results of map_tool() as a list."""
        return list(
            self.map_tool(
                tool_name, items, pool=pool, in_flight=in_flight, timeout=timeout
            )
        )

    def _map(self, tool_name, iterable, pool, in_flight, timeout):
        line = deque()
        try:
            for arguments in iterable:
                if len(line) == in_flight:
                    yield line.popleft().result()
                encoded = _encoded(_arguments(arguments, {}))
                line.append(
                    start_long(self._run_tool, tool_name, encoded, timeout, pool)
                )
            while line:
                yield line.popleft().result()
        finally:
            for future in line:
                future.cancel()

    def register_tool(self, local_tool):
        """Let call_tool() find a function, or an instance of a class that is called, of
        this very call."""
        instance = local_tool() if isinstance(local_tool, type) else local_tool
        name = getattr(instance, "name", None) or getattr(local_tool, "__name__", None)
        if not callable(instance) or not name:
            raise TypeError(
                f"{local_tool!r} is no tool: it has no name or is not called"
            )
        self._local_tools[name] = instance
        return local_tool

    def _run_tool(self, tool_name, encoded, timeout, pool):
        if self._call is None:
            raise ToolNotFound(
                f"no tool named {tool_name!r}: no call runs, there is no host to ask",
                "SP-NO-TOOL",
            )
        call = self._asking()
        with Changing(self._cache):
            return call.tool_call(tool_name, *encoded, pool, _milliseconds(timeout))


class HostTool:
    """A function of the host that looks like one of Python's."""

    def __init__(self, context, facts):
        self._context = context
        self._facts = facts
        self.__name__ = self.__qualname__ = self.name = facts["name"]
        self.description = facts.get("description") or ""
        self.__doc__ = self.description or None
        self.schema = facts.get("schema") or {}
        self.streaming = bool(facts.get("streaming"))

    @property
    def parameters(self):
        """Its parameters: dicts with name, type, required, default, description."""
        required = self.schema.get("required") or ()
        return [
            {
                "name": name,
                "type": schema.get("type", "any") if schema is not True else "any",
                "required": name in required,
                "default": schema.get("default") if schema is not True else None,
                "description": (
                    schema.get("description", "") if schema is not True else ""
                ),
            }
            for name, schema in (self.schema.get("properties") or {}).items()
        ]

    @property
    def __signature__(self):
        return signature_of(self.schema)

    def _bind(self, positional, keywords):
        """Positional arguments by name, in the order of the signature."""
        names = ordered_names(self.schema)
        if len(positional) > len(names):
            raise TypeError(
                f"{self.name}() takes {len(names)} positional arguments but "
                f"{len(positional)} were given"
            )
        bound = dict(zip(names, positional))
        for name in keywords:
            if name in bound:
                raise TypeError(f"{self.name}() got two values for argument {name!r}")
        bound.update(keywords)
        return bound

    def __call__(self, *positional, **keywords):
        arguments = self._bind(positional, keywords)
        if self.streaming:
            return self._context.stream_host_tool(self.name, arguments)
        return self._context.call_host_tool(self.name, arguments)

    def __getitem__(self, key):
        """name, description and parameters, as the original's dict had them."""
        if key in ("name", "description", "parameters", "schema", "streaming"):
            return getattr(self, key)
        raise KeyError(key)

    def __repr__(self):
        return f"<host tool {self.name}{self.__signature__}>"


class HostTools(Mapping):
    """The host's functions by name: ``tools["parse"](...)``, ``tools.parse(...)``."""

    def __init__(self, context, found):
        self._tools = {facts["name"]: HostTool(context, facts) for facts in found}

    def __getitem__(self, name):
        return self._tools[name]

    def __iter__(self):
        return iter(self._tools)

    def __len__(self):
        return len(self._tools)

    def __getattr__(self, name):
        try:
            return self.__dict__["_tools"][name]
        except KeyError:
            raise AttributeError(f"the host offers no tool named {name!r}") from None

    def __dir__(self):
        return [*super().__dir__(), *(name for name in self if name.isidentifier())]

    def __repr__(self):
        return f"<host tools: {', '.join(sorted(self._tools)) or 'none'}>"


_PYTHON_TYPES = {
    "string": str, "integer": int, "number": float, "boolean": bool, "array": list,
    "object": dict, "null": type(None),
}  # fmt: skip


def ordered_names(schema):
    """The arguments that can stand in a signature, the required ones first."""
    required = schema.get("required") or ()
    names = [name for name in schema.get("properties") or () if name.isidentifier()]
    return sorted(names, key=lambda name: name not in required)


def signature_of(schema):
    """The signature a JSON Schema of arguments stands for."""
    from inspect import Parameter, Signature

    required = schema.get("required") or ()
    parameters = []
    for name in ordered_names(schema):
        rule = schema["properties"][name]
        rule = rule if isinstance(rule, dict) else {}
        kind = rule.get("type")
        annotation = _PYTHON_TYPES.get(kind) if isinstance(kind, str) else None
        default = Parameter.empty
        if name not in required:
            default = rule.get("default")
        parameters.append(
            Parameter(
                name,
                Parameter.POSITIONAL_OR_KEYWORD,
                default=default,
                annotation=annotation if annotation is not None else Parameter.empty,
            )
        )
    if schema.get("additionalProperties", True) is not False:
        parameters.append(Parameter("keywords", Parameter.VAR_KEYWORD))
    return Signature(parameters)


class ToolStream(Receiver):
    """The chunks of a streaming tool, for ``for`` and ``async for``, or one by one with
    next(). Closed when it ends, by close(), by leaving a ``with``, and with the call.
    """

    def __init__(self, context, tool_name, arguments, timeout, pool):
        self.tool_name = tool_name
        timeout_ms = _milliseconds(timeout)
        self._arguments = (tool_name, *_encoded(arguments), pool, timeout_ms)
        super().__init__(context)

    def _begin(self):
        self._context._cache.clear()
        return self._context._asking().tool_stream(*self._arguments)

    def _item(self, found):
        self._context._cache.clear()  # what the tool has changed up to here is seen
        return found[0]

    def __repr__(self):
        return f"<stream of {self.tool_name}>"
