# SPDX-License-Identifier: MIT
"""What SessionContext does by itself: its cache, the looks of the host's tools, errors.
What it does with a host is tested with one, in test/system/test_python_*.py."""

import datetime
import inspect
import pickle
import time

import pytest

import snakepit_bridge
from snakepit_bridge import SessionContext, VariableType, _spec, errors, types
from snakepit_bridge._cache import Cache, Changing, copied
from snakepit_bridge._tools import HostTool, HostTools, signature_of

# ---- the cache ----


def variable(name, value, ident=None):
    return {"name": name, "id": ident or f"var_{name}_1", "value": value}


def test_a_value_is_found_by_name_and_id_until_its_time_is_up():
    cache = Cache(1000)
    cache.put(variable("x", 1), cache.before_read())
    assert cache.get("x")["value"] == cache.get("var_x_1")["value"] == 1
    assert cache.get("y") is None
    before = (cache.before_read()[0], time.monotonic() - 1001)
    cache.put(variable("x", 2), before)  # asked for that long ago
    assert cache.get("x") is None


def test_a_change_drops_a_value_under_both_names():
    cache = Cache(1000)
    for ident in ("x", "var_x_1"):
        cache.put(variable("x", 1), cache.before_read())
        cache.drop(ident)
        assert cache.get("x") is None and cache.get("var_x_1") is None


def test_a_read_that_was_on_its_way_during_a_change_is_not_kept():
    cache = Cache(1000)
    early = cache.before_read()
    with Changing(cache, "x"):
        during = cache.before_read()
        cache.put(variable("x", "old"), early)
        assert cache.get("x") is None
    cache.put(variable("x", "old"), during)
    assert cache.get("x") is None
    cache.put(variable("x", "new"), cache.before_read())
    assert cache.get("x")["value"] == "new"


def test_a_failed_change_drops_too():
    cache = Cache(1000)
    cache.put(variable("x", 1), cache.before_read())
    with pytest.raises(KeyError), Changing(cache):
        raise KeyError
    assert cache.get("x") is None


def test_no_time_keeps_nothing_and_one_variable_may_have_its_own():
    cache = Cache(0)
    cache.set_ttl("kept", 1000)
    cache.put(variable("x", 1), cache.before_read())
    cache.put(variable("kept", 1), cache.before_read())
    assert cache.get("x") is None and cache.get("kept")["value"] == 1


def test_the_cache_is_bounded():
    cache = Cache(1000)
    for i in range(30_000):
        cache.put(variable(f"v{i}", i), cache.before_read())
        assert len(cache._entries) <= 10_001
    assert cache.get("v29999")["value"] == 29999


def test_copies_are_deep():
    value = {"a": [1, {"b": [2]}]}
    other = copied(value)
    other["a"][1]["b"].append(3)
    assert value == {"a": [1, {"b": [2]}]}


# ---- a context without a call ----


def test_without_a_call_there_is_no_host():
    context = SessionContext(session_id="s")
    for ask in (
        lambda: context["x"],
        lambda: context.set_variable("x", 1),
        lambda: context.watch(),
        lambda: context.stream_host_tool("rows"),
        lambda: context.session_info(),
    ):
        with pytest.raises(errors.HostError, match="no call runs") as info:
            ask()
        assert info.value.code == "SP-CLOSED"
    assert context and not context.host_tools
    context.set_cache_ttl(datetime.timedelta(seconds=2))
    assert context._cache.ttl == 2.0


def test_local_tools_are_called_without_a_host():
    context = SessionContext()

    @context.register_tool
    def add(a, b):
        return a + b

    class Named:
        name = "other"

        def __call__(self, x):
            return [x]

    context.register_tool(Named)
    assert context.call_tool("add", a=1, b=2) == 3
    assert context.call_tool("other", {"x": 1}) == [1]
    with pytest.raises(TypeError):
        context.register_tool(7)
    with pytest.raises(errors.ToolNotFound):
        context.call_tool("add", pool="somewhere", a=1, b=2)


# ---- a tool that takes its context ----

TOOLS = """
from __future__ import annotations
from snakepit_bridge import BaseAdapter, SessionContext, tool

class Tools(BaseAdapter):
    @tool
    def named(self, ctx, a, b=2):
        return [ctx.session_id, a, b]

    @tool
    def annotated(self, context: SessionContext, a: int):
        return [context.tool_name, a]

    @tool
    async def waits(self, ctx, a):
        return [ctx.tool_name, a]

    @tool
    def stream(self, ctx, to: int):
        for i in range(to):
            yield [ctx.tool_name, i]

    @tool
    def own(self, ctx=None):
        return ctx

    @tool
    def text(self, ctx: str):
        return ctx
"""


def test_a_tool_whose_first_parameter_is_its_context_gets_it(start):
    client = start("tools.py", {"tools.py": TOOLS}).client
    assert client.call("named", a=1) == ["", 1, 2]
    assert client.call("named", a=1, b=3) == ["", 1, 3]
    assert client.call("annotated", a=1) == ["annotated", 1]
    assert client.call("waits", a=1) == ["waits", 1]
    assert client.stream("stream", to=2) == [["stream", 0], ["stream", 1]]
    assert client.call("own", ctx=7) == 7 and client.call("text", ctx="x") == "x"
    grpc = pytest.importorskip("grpc")
    with pytest.raises(grpc.RpcError, match="unexpected keyword argument") as info:
        client.call("annotated", a=1, b=2)
    assert info.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_the_context_is_no_parameter_of_the_tool():
    def named(ctx, a, b=2): ...

    def annotated(context: SessionContext, a: int): ...

    def own(ctx=None): ...

    assert [p.name for p in _spec.parameters(named)] == ["a", "b"]
    assert [p.name for p in _spec.parameters(annotated)] == ["a"]
    assert [p.name for p in _spec.parameters(own)] == ["ctx"]


# ---- the host's tools ----

SCHEMA = {
    "type": "object",
    "properties": {
        "limit": {"type": "integer", "default": 10},
        "table": {"type": "string", "description": "which"},
        "where": {"type": ["object", "null"]},
        "from-here": {"type": "number"},
        "any": True,
    },
    "required": ["table"],
    "additionalProperties": False,
}


class Recorder(SessionContext):
    """Shows what a proxy asks for."""

    def call_host_tool(self, name, /, arguments=None, **keywords):
        return [name, arguments, keywords]

    def stream_host_tool(self, name, /, arguments=None, **keywords):
        return ["stream", name, arguments]


def facts(**changes):
    found = {"name": "rows", "description": "Rows of a table.", "schema": SCHEMA}
    return {**found, "streaming": False, **changes}


def test_a_proxy_looks_like_a_function():
    tool = HostTool(Recorder(), facts())
    assert tool.__name__ == "rows" and tool.__doc__ == "Rows of a table."
    assert str(inspect.signature(tool)) == (
        "(table: str, limit: int = 10, where=None, any=None)"
    )
    assert tool["description"] == "Rows of a table." and tool["name"] == "rows"
    assert tool.parameters[0] == {
        "name": "limit", "type": "integer", "required": False, "default": 10,
        "description": "",
    }  # fmt: skip
    assert tool.parameters[1]["required"] is True
    assert "table: str" in repr(tool)


def test_a_proxy_binds_arguments_in_the_order_of_its_signature():
    tool = HostTool(Recorder(), facts())
    assert tool("plants", limit=2) == ["rows", {"table": "plants", "limit": 2}, {}]
    assert tool("plants", 3) == ["rows", {"table": "plants", "limit": 3}, {}]
    assert tool(**{"table": "t", "from-here": 1})[1] == {"table": "t", "from-here": 1}
    with pytest.raises(TypeError, match="two values"):
        tool("plants", table="other")
    with pytest.raises(TypeError, match="4 positional"):
        tool(1, 2, 3, 4, 5)
    assert HostTool(Recorder(), facts(streaming=True))("t") == [
        "stream", "rows", {"table": "t"},
    ]  # fmt: skip


def test_a_tool_without_a_schema_takes_anything():
    tool = HostTool(Recorder(), {"name": "free"})
    assert str(inspect.signature(tool)) == "(**keywords)"
    assert tool(a=1) == ["free", {"a": 1}, {}]
    assert tool.__doc__ is None and tool.parameters == []
    assert str(signature_of({"additionalProperties": True})) == "(**keywords)"


def test_tools_are_a_mapping_with_attributes():
    tools = HostTools(Recorder(), [facts(), facts(name="keys")])
    assert sorted(tools) == ["keys", "rows"] and len(tools) == 2 and "rows" in tools
    assert tools.rows is tools["rows"] and "rows" in dir(tools)
    assert tools.keys() == {"rows", "keys"}  # a method of mappings stays one
    with pytest.raises(AttributeError, match="no tool named 'none'"):
        tools.none  # noqa: B018
    with pytest.raises(KeyError):
        tools["none"]


# ---- errors and types ----


def test_errors_are_what_python_programs_expect():
    not_found = errors.of_code("SP-NOT-FOUND", 'no variable "x" in session s')
    assert type(not_found) is errors.VariableNotFoundError
    assert isinstance(not_found, KeyError) and isinstance(not_found, RuntimeError)
    assert str(not_found) == 'no variable "x" in session s'
    assert type(errors.of_code("SP-NOT-FOUND", "no session s")) is errors.NotFound
    for code, kinds in {
        "SP-BAD-VALUE": (errors.BadValue, ValueError),
        "SP-BAD-ARGS": (errors.ToolArgumentsError, TypeError, ValueError),
        "SP-TIMEOUT": (errors.HostTimeout, TimeoutError),
        "SP-DEADLOCK": (errors.ToolRecursion, RecursionError),
        "SP-NO-TOOL": (errors.ToolNotFound, ValueError, LookupError),
        "SP-CYCLE": (errors.DependencyCycle, ValueError),
        "SP-SOMETHING-NEW": (errors.HostError, RuntimeError),
    }.items():
        failure = errors.of_code(code, "text")
        assert all(isinstance(failure, kind) for kind in kinds), code
        assert failure.code == code and str(failure) == "text"
    remote = errors.of_code("SP-REMOTE", "text", "KeyError", "Traceback")
    again = pickle.loads(pickle.dumps(remote))
    assert (again.remote_type, again.remote_traceback) == ("KeyError", "Traceback")
    assert type(again) is errors.ToolError


def test_types():
    assert VariableType.from_proto("FLOAT") is VariableType.FLOAT
    assert VariableType.LIST.to_proto() == "list"
    with pytest.raises(ValueError):
        VariableType.from_proto("no type")
    for value, kind in (
        (True, "boolean"), (1, "integer"), (1.5, "float"), ("", "string"),
        ({}, "map"), ([], "list"), ((), "list"), (object(), "string"),
    ):  # fmt: skip
        assert types.infer_type(value).value == kind


def test_everything_that_is_exported_is_there():
    for name in snakepit_bridge.__all__:
        assert getattr(snakepit_bridge, name) is not None


def test_every_code_has_a_class():
    from snakepit_bridge import _worker, errors

    rows = _worker.error_codes()
    assert len(rows) > 40
    for code, number, category, retryable, grpc_status, _, hint in rows:
        error = errors.of_code(code, "m")
        assert isinstance(error, errors.HostError)
        assert type(error) is not errors.HostError
        assert (error.code, error.number, error.category) == (code, number, category)
        assert (error.grpc_status, error.hint) == (grpc_status, hint)
        assert error.retryable is bool(retryable)
        assert type(pickle.loads(pickle.dumps(error))) is type(error)
    assert type(errors.of_code("SP-QUEUE-TIMEOUT", "m")) is errors.HostTimeout
    assert type(errors.of_code("SP-QUEUE-FULL", "m")) is errors.QueueFull
    assert errors.QueueFull("m").code == "SP-QUEUE-FULL"
    assert errors.of_code("SP-EXISTS", "m").__class__ is errors.AlreadyExists
    unknown = errors.of_code("SP-OF-TOMORROW", "m")
    assert type(unknown) is errors.HostError and unknown.code == "SP-OF-TOMORROW"
