# SPDX-License-Identifier: MIT
"""Adapters: what the decorator notes, what parameters are, what is found."""

import functools
from typing import Any, Dict, List, Optional, Union

import pytest

import snakepit_bridge
from snakepit_bridge import (
    BaseAdapter,
    BaseCommandHandler,
    ProtocolHandler,
    SessionContext,
    ToolMetadata,
    _spec,
    tool,
)
from snakepit_bridge.adapters.base import BaseAdapter as OtherName
from snakepit_bridge.adapters.generic import GenericCommandHandler
from snakepit_bridge.adapters.template import TemplateAdapter


class Example(BaseAdapter):
    @tool
    def plain(self, a: int, b: str = "x"):
        """First line
        and second.

        More.
        """

    @tool(description="Said", supports_streaming=True, required_variables=["v"])
    def described(self):
        pass

    @tool()
    def generator(self):
        yield 1

    @tool
    async def async_generator(self):
        yield 1

    @staticmethod
    @tool
    def static(a, b=1):
        return a + b

    @classmethod
    @tool
    def of_class(cls, a):
        return cls.__name__

    def undecorated(self, x):
        return x * 2


def registrations(adapter):
    return {t.name: t for t in adapter.get_tools()}


# ---- the decorator ----


def test_the_decorator_works_with_and_without_parentheses():
    assert Example.plain._tool_metadata == ToolMetadata("First line and second.")
    assert Example.described._tool_metadata == ToolMetadata("Said", True, [], ["v"])
    assert Example.generator._tool_metadata.supports_streaming
    assert Example.async_generator._tool_metadata.supports_streaming


def test_tools_are_found_with_their_parameters():
    tools = registrations(Example())
    assert set(tools) == {
        "plain", "described", "generator", "async_generator", "static", "of_class",
    }  # fmt: skip
    a, b = tools["plain"].parameters
    assert (a.name, a.type, a.required, a.validation_json) == ("a", "int", True, "")
    assert (b.name, b.type, b.required) == ("b", "str", False)
    assert b.validation_json == '{"default":"x"}'
    assert tools["described"].metadata["required_variables"] == "v"
    assert tools["described"].metadata["adapter_class"] == "Example"
    assert [p.name for p in tools["static"].parameters] == ["a", "b"]
    assert [p.name for p in tools["of_class"].parameters] == ["a"]


def test_subclasses_inherit_and_replace_tools():
    class Child(Example):
        @tool
        def plain(self, only):
            pass

        described = None

    tools = registrations(Child())
    assert [p.name for p in tools["plain"].parameters] == ["only"]
    assert "described" not in tools and "generator" in tools


def test_call_tool_calls_any_method_by_name():
    adapter = Example()
    assert adapter.call_tool("undecorated", x=4) == 8
    assert adapter.call_tool("static", a=1) == 2
    with pytest.raises(ValueError, match="not found"):
        adapter.call_tool("absent")
    adapter.number = 5
    with pytest.raises(ValueError, match="not callable"):
        adapter.call_tool("number")


def test_the_adapter_has_one_base_class_under_two_names():
    assert OtherName is BaseAdapter


def test_an_execute_tool_method_is_listed():
    class Dispatcher(BaseAdapter):
        def execute_tool(self, tool_name, arguments, context):
            pass

    assert "execute_tool" in registrations(Dispatcher())


def test_the_session_context_may_be_set_or_asked_for():
    adapter = Example()
    assert adapter.session_context is None and adapter.session_id == ""
    adapter.set_session_context(SessionContext(session_id="s"))
    assert adapter.session_id == "s"


# ---- parameters ----


def spec(function, **options):
    return [
        (p.name, p.type, "required" if p.required else p.default)
        for p in _spec.parameters(function, **options)
    ]


def test_parameters_come_from_any_kind_of_callable():
    def everything(a, b: int, c: float = 1.5, *rest, d, e: bool = True, **others):
        pass

    assert spec(everything) == [
        ("a", "any", "required"),
        ("b", "int", "required"),
        ("c", "float", 1.5),
        ("d", "any", "required"),
        ("e", "bool", True),
    ]

    @functools.wraps(everything)
    def wrapper(*args, **kwargs):
        return everything(*args, **kwargs)

    assert spec(wrapper) == spec(everything)

    class Callable:
        def __call__(self, x: str):
            pass

        def method(self, y):
            pass

    assert spec(Callable()) == [("x", "str", "required")]
    assert spec(Callable().method) == [("y", "any", "required")]
    assert spec(len) == []
    assert spec(functools.partial(everything, 1)) == []


@pytest.mark.parametrize(
    "annotation, expected",
    [
        (int, "int"),
        (str, "str"),
        (float, "float"),
        (bool, "bool"),
        (list, "list"),
        (dict, "dict"),
        (bytes, "bytes"),
        (None, "any"),
        (object, "any"),
        (Any, "any"),
        (List[int], "list"),
        (Dict[str, int], "dict"),
        (Optional[int], "any"),
        (Union[int, str], "any"),
        ("int", "int"),
        ("List[int]", "list"),
        ("typing.Dict[str, int]", "dict"),
        ("Optional[int]", "any"),
        ("int | None", "any"),
        (Example, "any"),
    ],
)
def test_annotations_become_words(annotation, expected):
    assert _spec.type_name(annotation) == expected


def test_streams_are_recognised():
    def generator():
        yield

    async def async_generator():
        yield

    async def coroutine():
        pass

    assert _spec.is_stream(generator) and _spec.is_stream(async_generator)
    assert not _spec.is_stream(coroutine) and not _spec.is_stream(len)


# ---- contexts ----


def test_outside_a_call_there_is_no_context():
    assert snakepit_bridge.current() is None
    assert snakepit_bridge.cancelled() is False
    assert snakepit_bridge.time_left() is None


def test_a_context_made_by_hand_offers_nothing_of_the_host():
    with SessionContext(None, "s", {"k": "v"}) as context:
        assert context.session_id == "s" and context.request_metadata == {"k": "v"}
        assert context.elixir_tools == {}
        with pytest.raises(ValueError, match="no tool named 'parse'"):
            context.call_elixir_tool("parse", text="x")
        assert context.cancelled() is False and context.time_left() is None
        assert repr(context) == "SessionContext(session_id='s')"


# ---- command handlers ----


class Texts(BaseCommandHandler):
    def _register_commands(self):
        self.register_command("upper", self.upper)
        self.register_command("fail", self.fail)

    def upper(self, args):
        return args["text"].upper()

    def fail(self, args):
        raise ValueError("no")


def test_a_command_handler_runs_commands():
    handler = Texts()
    assert handler.get_supported_commands() == ["upper", "fail"]
    assert handler.process_command("upper", {"text": "a"}) == "A"
    failed = handler.process_command("fail", {})
    assert failed["status"] == "error" and failed["error"] == "no"
    unknown = handler.process_command("absent", {})
    assert unknown["supported_commands"] == ["upper", "fail"]
    assert handler.request_count == 3


def test_a_handler_without_commands_or_with_wrong_ones_says_so():
    class Empty(BaseCommandHandler):
        pass

    with pytest.raises(NotImplementedError, match="_register_commands"):
        Empty()
    with pytest.raises(TypeError, match="not callable"):
        Texts().register_command("x", 5)


def test_the_generic_handler_has_its_four_commands():
    handler = GenericCommandHandler()
    assert handler.process_command("ping", {"a": 1})["echo"] == {"a": 1}
    assert handler.process_command("echo", {"a": 1})["echoed"] == {"a": 1}
    computed = handler.process_command("compute", {"operation": "add", "a": 2, "b": 3})
    assert computed["result"] == 5
    divided = handler.process_command(
        "compute", {"operation": "divide", "a": 2, "b": 0}
    )
    assert divided["status"] == "error"
    assert "python_version" in handler.process_command("info", {})["system_info"]


def test_a_protocol_handler_can_be_told_to_stop_before_it_runs():
    handler = ProtocolHandler(Texts(), protocol="json", quiet=True)
    handler.request_shutdown()
    assert handler.command_handler.get_supported_commands() == ["upper", "fail"]


def test_the_template_is_an_adapter():
    adapter = TemplateAdapter()
    assert adapter.example_tool("ab", 2) == {"result": "abab"}
    assert [c["number"] for c in adapter.example_stream(3)] == [1, 2, 3]
    assert adapter.get_info()["name"] == "TemplateAdapter"


def test_the_package_knows_its_names():
    for name in snakepit_bridge.__all__:
        assert getattr(snakepit_bridge, name) is not None
    with pytest.raises(AttributeError):
        snakepit_bridge.absent
    assert dir(snakepit_bridge)
