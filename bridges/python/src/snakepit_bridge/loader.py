# SPDX-License-Identifier: MIT
"""From an adapter's name to the tools a worker serves.

showcase, template, generic     the ones that come with the package
module:Class, pkg.mod.Class     a class, also one that is no BaseAdapter
module:function, module:object  one function, or an adapter made already
path/file.py, path/file.py:Class  the same from a file
module, path/file.py            its adapter class if it has one, else its command
                                handler, else its public functions
none                            no adapter: any importable function, by dotted name
"""

import os
import sys

from . import _spec, _worker
from .base_adapter import BaseAdapter, members, metadata_of

BUILT_IN = {
    "showcase": "snakepit_bridge.adapters.showcase.showcase_adapter:ShowcaseAdapter",
    "template": "snakepit_bridge.adapters.template:TemplateAdapter",
    "generic": "snakepit_bridge.adapters.generic:GenericCommandHandler",
}
_RESOLVED_MAX = 10_000  # functions found by name that are remembered
_PREFIX = "execute_"


class Tool:
    """One tool: how to call it and what to announce."""

    __slots__ = (
        "name",
        "callable",
        "style",
        "description",
        "streaming",
        "parameters",
        "idempotent",
    )

    def __init__(
        self,
        name,
        callable_,
        style,
        description,
        streaming,
        parameters,
        idempotent=False,
    ):
        self.name = name
        self.callable = callable_
        self.style = style
        self.description = description
        self.streaming = streaming
        self.parameters = parameters
        self.idempotent = idempotent


class ToolSet:
    """What a worker serves. ``table`` is what the serve loop looks names up in."""

    def __init__(self, owner=None, is_thread_safe=None):
        self.owner = owner
        if is_thread_safe is None:
            is_thread_safe = getattr(type(owner), "__thread_safe__", False)
        self.is_thread_safe = is_thread_safe is True
        self.label = f"the adapter {type(owner).__name__}"
        self.tools = []
        self.table = {}
        self.accepts_any = False
        self._setter = _context_setter(owner)

    def add(self, tool):
        """Add a tool; a name that is there already keeps its first tool."""
        if tool.name not in self.table:
            self.tools.append(tool)
            self.table[tool.name] = (tool.callable, tool.style, self._setter)

    def resolve(self, name):
        """The table entry of a name that is not in the table. Raises NoSuchTool."""
        raise no_such_tool(name, self.table)

    def start(self):
        """Run the adapter's initialize(), if it has one."""
        _run_method(self.owner, "initialize")

    def after_fork(self):
        """Run the adapter's after_fork(), if it has one: in a worker that was forked
        with the adapter loaded, before initialize()."""
        _run_method(self.owner, "after_fork")

    def stop(self):
        """Run the adapter's cleanup(), if it has one."""
        _run_method(self.owner, "cleanup")

    def end_session(self, session):
        """Run the adapter's on_session_end(), if it has one."""
        _run_method(self.owner, "on_session_end", session)


class DispatchingTools(ToolSet):
    """An adapter whose execute_tool() takes every name."""

    def __init__(self, owner):
        super().__init__(owner)
        self.accepts_any = True

    def resolve(self, name):
        return (self.owner.execute_tool, _worker.DISPATCH, self._setter)


class ImportableTools(ToolSet):
    """No adapter: "statistics.fmean" is the function of that name."""

    def __init__(self):
        super().__init__(is_thread_safe=True)  # whoever asks for threads means them
        self.accepts_any = True

    def resolve(self, name):
        function = find_function(name)
        entry = (function, _style(function), None)
        if len(self.table) < _RESOLVED_MAX:
            self.table[name] = entry
        return entry


def _style(function):
    return _worker.CONTEXT if _spec.takes_context(function) else _worker.KEYWORDS


def no_such_tool(name, known):
    """The exception that says so and names what was perhaps meant."""
    import difflib

    near = difflib.get_close_matches(name, list(known), n=3)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return _worker.NoSuchTool(f"no tool named {name!r}{hint}")


def _run_method(owner, name, *arguments):
    method = getattr(owner, name, None)
    if not callable(method) or metadata_of(method) is not None:
        return  # absent, or a tool that happens to have this name
    result = method(*arguments)
    if hasattr(type(result), "__await__"):
        from . import _async

        _async.run(result)


def _context_setter(owner):
    setter = getattr(owner, "set_session_context", None)
    if not callable(setter):
        return None
    if (
        getattr(type(owner), "set_session_context", None)
        is BaseAdapter.set_session_context
    ):
        return None  # it would only store what BaseAdapter finds out when asked
    return setter


# ---- by name ----


def find_object(path):
    """What a dotted name stands for: its longest importable beginning, then attributes.

    Raises ModuleNotFoundError when not even the first part can be imported, and
    AttributeError when the rest is not there; exceptions of the modules' own code pass.
    """
    parts = path.split(".")
    for n in range(len(parts), 0, -1):
        name = ".".join(parts[:n])
        try:
            __import__(name)
        except ModuleNotFoundError as failure:
            missing = failure.name or ""
            if n == 1 or not (name == missing or name.startswith(missing + ".")):
                raise
            continue
        value = sys.modules[name]
        for attribute in parts[n:]:
            value = getattr(value, attribute)
        return value
    raise ModuleNotFoundError(f"no module named {path!r}", name=path)


def find_function(name):
    """The function of a dotted name, for a worker without an adapter."""
    if "." not in name or not all(part.isidentifier() for part in name.split(".")):
        raise _worker.NoSuchTool(
            f"no tool named {name!r}: a worker without an adapter calls functions by "
            "module and name, such as statistics.fmean"
        )
    try:
        value = find_object(name)
    except ModuleNotFoundError as failure:
        if not name.startswith((failure.name or "\0")):
            raise  # a module that exists needs one that does not
        raise _worker.NoSuchTool(f"no tool named {name!r}: {failure}") from None
    except AttributeError as failure:
        module, _, attribute = name.rpartition(".")
        near = no_such_tool(attribute, dir(sys.modules.get(module))).args[0]
        near = near.partition(";")[2]
        raise _worker.NoSuchTool(
            f"no tool named {name!r}: {failure}" + (f";{near}" if near else "")
        ) from None
    if not callable(value):
        raise _worker.NoSuchTool(
            f"{name} is no function: it is of type {type(value).__name__}"
        )
    return value


def load_file(path):
    """A Python file as a module, its folder importable. Raises FileNotFoundError."""
    from importlib.machinery import ModuleSpec, SourceFileLoader

    path = os.path.abspath(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"no such file: {path}")
    folder, base = os.path.split(path)
    if folder not in sys.path:
        sys.path.insert(min(1, len(sys.path)), folder)
    name = base[:-3] if base.endswith(".py") else base
    if not name.isidentifier() or name in sys.modules:
        name = "snakepit_adapter_" + "".join(c if c.isalnum() else "_" for c in name)
    loader = SourceFileLoader(name, path)
    module = type(sys)(name)
    module.__file__ = path
    module.__loader__ = loader
    module.__spec__ = ModuleSpec(name, loader, origin=path)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


# ---- from objects to tools ----


def tools_of_handler(handler):
    """The commands of a BaseCommandHandler."""
    tools = ToolSet(handler)
    for name, command in handler.commands().items():
        tools.add(
            Tool(
                name,
                command,
                _worker.DICT,
                _spec.summary(command),
                _spec.is_stream(command),
                [],
            )
        )
    return tools


def _dispatches(instance):
    """Whether the adapter has an execute_tool() that does more than find tools."""
    method = getattr(instance, "execute_tool", None)
    return callable(method) and not getattr(method, "_finds_tools_only", False)


def tools_of_adapter(instance):
    """The tools of an adapter: commands, decorated methods, or all through its
    execute_tool()."""
    dispatching = _dispatches(instance)
    tools = DispatchingTools(instance) if dispatching else ToolSet(instance)
    announced = []
    for name, value in members(instance):
        metadata = metadata_of(value)
        if metadata is not None:
            method = getattr(instance, name)
            announced.append(
                Tool(
                    name,
                    method,
                    _style(method),
                    metadata.description,
                    metadata.supports_streaming,
                    _spec.parameters(method),
                    getattr(metadata, "idempotent", False),
                )
            )
        elif name.startswith(_PREFIX) and name != "execute_tool":
            method = getattr(instance, name)
            if callable(method):
                tools.add(
                    Tool(
                        name[len(_PREFIX) :],
                        method,
                        _worker.DICT,
                        _spec.summary(method),
                        _spec.is_stream(method),
                        [],
                    )
                )
    for tool in announced:
        if dispatching:
            tool.callable, tool.style = instance.execute_tool, _worker.DISPATCH
        tools.add(tool)
    return tools


def tools_of_functions(functions, module):
    """Plain functions of a module as tools, by name."""
    tools = ToolSet(is_thread_safe=getattr(module, "__thread_safe__", False))
    tools.label = f"the module {getattr(module, '__name__', None)}"
    for name, function in functions:
        tools.add(
            Tool(
                name,
                function,
                _style(function),
                _spec.summary(function),
                _spec.is_stream(function),
                _spec.parameters(function),
            )
        )
    return tools


def _is_handler_class(value):
    core = sys.modules.get("snakepit_bridge.core")
    return (
        core is not None
        and isinstance(value, type)
        and issubclass(value, core.BaseCommandHandler)
        and value is not core.BaseCommandHandler
    )


def _is_adapter_class(value):
    return (
        isinstance(value, type)
        and issubclass(value, BaseAdapter)
        and value is not BaseAdapter
    )


def tools_of_module(module):
    """The module's own adapter class, else its command handler, else its functions."""
    own = [
        (name, value)
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__
    ]
    for wanted in (_is_adapter_class, _is_handler_class):
        for _, value in own:
            if wanted(value):
                return tools_of_object(value)
    functions = [
        (name, value)
        for name, value in own
        if not name.startswith("_")
        and not isinstance(value, type)
        and hasattr(value, "__code__")
    ]
    if not functions:
        raise ImportError(
            f"{module.__name__} has neither an adapter class nor public functions"
        )
    return tools_of_functions(functions, module)


def tools_of_object(value):
    """The tools of whatever an adapter's name stands for."""
    if isinstance(value, type(sys)):
        return tools_of_module(value)
    if isinstance(value, type):
        value = value()
    if hasattr(value, "__code__"):
        module = sys.modules.get(value.__module__)
        return tools_of_functions([(value.__name__, value)], module)
    if _is_handler_class(type(value)):
        return tools_of_handler(value)
    tools = tools_of_adapter(value)
    if not tools.tools and not tools.accepts_any:
        raise ImportError(
            f"{type(value).__name__} has no tools: decorate methods with @tool or name "
            "them execute_<command>"
        )
    return tools


def load(spec):
    """The ToolSet of an adapter's name (see the module's text)."""
    if not spec or spec == "none":
        return ImportableTools()
    spec = BUILT_IN.get(spec, spec)
    place, colon, attribute = spec.rpartition(":")
    if not colon:
        place, attribute = spec, ""
    if place.endswith(".py") or "/" in place:
        value = load_file(place)
    elif attribute:
        __import__(place)
        value = sys.modules[place]
    else:
        value = find_object(place)
    for name in attribute.split(".") if attribute else ():
        value = getattr(value, name)
    return tools_of_object(value)
