# SPDX-License-Identifier: MIT
"""Every way to name an adapter, in this process and as a worker."""

import sys

import pytest
from conftest import Failed, PACKAGE, Process, environment

from snakepit_bridge import NoSuchTool, loader

ADAPTER = """
from snakepit_bridge.adapters.base import BaseAdapter, tool
from sibling import VALUE

class First(BaseAdapter):
    @tool
    def value(self):
        return VALUE

class Second(BaseAdapter):
    @tool
    def other(self):
        return "second"

ready = Second()

def free(a: int, b=2):
    "Add."
    return a + b
"""
FILES = {"mine.py": ADAPTER, "sibling.py": "VALUE = 'from a sibling'\n"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with modules of its own on sys.path; what was imported is forgotten."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    package = tmp_path / "pkg" / "inner"
    package.mkdir(parents=True)
    (tmp_path / "pkg" / "__init__.py").write_text("")
    (package / "__init__.py").write_text("from mine import First as Nested\n")
    monkeypatch.setattr(sys, "path", [sys.path[0], str(tmp_path), *sys.path[1:]])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def names(spec):
    return [t.name for t in loader.load(spec).tools]


@pytest.mark.parametrize(
    "spec, expected",
    [
        ("mine:First", ["value"]),
        ("mine.First", ["value"]),
        ("mine:Second", ["other"]),
        ("mine:ready", ["other"]),
        ("mine", ["value"]),
        ("mine:free", ["free"]),
        ("pkg.inner.Nested", ["value"]),
        ("pkg.inner:Nested", ["value"]),
    ],
)
def test_adapters_are_found_by_name(folder, spec, expected):
    assert names(spec) == expected


def test_adapters_are_found_in_files(folder):
    assert names(f"{folder}/mine.py") == ["value"]
    assert names(f"{folder}/mine.py:Second") == ["other"]


def test_a_relative_file_is_found_from_the_working_directory(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert names("mine.py") == ["value"]
    assert names("./mine.py:ready") == ["other"]


def test_a_file_whose_name_is_taken_does_not_replace_the_module(folder):
    (folder / "json.py").write_text("def mine():\n    return 1\n")
    import json

    assert names(f"{folder}/json.py") == ["mine"]
    assert sys.modules["json"] is json


def test_a_file_of_functions_serves_them(folder):
    source = (
        "import os\nfrom math import pi\n\ndef a(x):\n    pass\n\ndef _b():\n    pass\n"
    )
    (folder / "functions.py").write_text(source)
    assert names(f"{folder}/functions.py") == ["a"]


def test_a_command_handler_is_served(folder):
    (folder / "handler.py").write_text("""
from snakepit_bridge import BaseCommandHandler

class Handler(BaseCommandHandler):
    def _register_commands(self):
        self.register_command("one", self.one)

    def one(self, args):
        "The first."
        return 1
""")
    tools = loader.load(f"{folder}/handler.py").tools
    assert [(t.name, t.description) for t in tools] == [("one", "The first.")]


def test_the_built_in_adapters_have_names():
    assert "ping" in names("showcase")
    assert set(names("template")) == {
        "example_tool", "example_stream", "example_command",
    }  # fmt: skip
    assert names("generic") == ["ping", "echo", "compute", "info"]


def test_a_duck_typed_adapter_dispatches_itself(folder):
    (folder / "duck.py").write_text("""
class Duck:
    def execute_tool(self, tool_name, arguments, context):
        return [tool_name, arguments]
""")
    tools = loader.load("duck:Duck")
    assert tools.accepts_any and tools.tools == []
    callable_, style, _ = tools.resolve("anything")
    assert callable_("t", {}, None) == ["t", {}]


@pytest.mark.parametrize(
    "spec, exception",
    [
        ("no_such_module:Thing", ModuleNotFoundError),
        ("no_such_module", ModuleNotFoundError),
        ("mine:Absent", AttributeError),
        ("mine.Absent", AttributeError),
        ("./absent.py", FileNotFoundError),
        ("mine:VALUE", ImportError),
        ("sibling", ImportError),
    ],
)
def test_what_cannot_be_loaded_says_why(folder, spec, exception):
    with pytest.raises(exception):
        loader.load(spec)


def test_an_adapter_with_a_bug_fails_with_its_own_exception(folder):
    (folder / "buggy.py").write_text("import no_such_dependency\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency"):
        loader.load(f"{folder}/buggy.py")
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency"):
        loader.load("buggy:Thing")


# ---- functions without an adapter ----


@pytest.mark.parametrize(
    "name, args, result",
    [
        ("math.sqrt", [9], 3.0),
        ("os.path.join", ["a", "b"], "a/b"),
        ("builtins.len", ["abc"], 3),
        ("datetime.date.fromisoformat", ["2024-05-01"], None),
        ("builtins.dict", [], {}),
    ],
)
def test_functions_are_found_by_dotted_name(name, args, result):
    found = loader.find_function(name)(*args)
    assert result is None or found == result


@pytest.mark.parametrize(
    "name, hint",
    [
        ("sqrt", "statistics.fmean"),
        ("math.sqrtt", "sqrt"),
        ("math.pi", "no function"),
        ("no_such_module.f", "no_such_module"),
        ("math..sqrt", "no tool"),
        ("", "no tool"),
        ("os.system; x", "no tool"),
    ],
)
def test_functions_that_do_not_exist_are_no_tools(name, hint):
    with pytest.raises(NoSuchTool, match=hint):
        loader.find_function(name)


def test_a_module_that_needs_a_missing_one_says_which(folder):
    (folder / "needy.py").write_text("import no_such_dependency\ndef f():\n    pass\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency"):
        loader.find_function("needy.f")


# ---- as workers ----


def test_any_function_can_be_called_without_an_adapter(start):
    grpc = pytest.importorskip("grpc")
    client = start("none").client
    request = client.request("statistics.fmean", {})
    request.args_json = b"[[1, 2, 3]]"
    response = client.stub.ExecuteTool(request, timeout=20)
    assert response.result.value == b"2.0"
    assert client.call("textwrap.shorten", text="one two three", width=9) == "one [...]"
    with pytest.raises(grpc.RpcError) as caught:
        client.call("statistics.fmeen")
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "fmean" in caught.value.details()
    stream = client.open_stream("builtins.range", start=0)
    with pytest.raises(grpc.RpcError):
        list(stream)


def test_modules_of_the_working_directory_are_importable(start):
    client = start(
        "none", {"here.py": "def f(x=1):\n    return [x, __name__]\n"}
    ).client
    assert client.call("here.f") == [1, "here"]


def test_with_an_adapter_other_functions_are_out_of_reach(start):
    grpc = pytest.importorskip("grpc")
    client = start("showcase").client
    with pytest.raises(grpc.RpcError) as caught:
        client.call("os.getpid")
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_an_adapter_file_with_a_class_and_a_sibling_serves(start):
    assert start("mine.py", FILES).client.call("value") == "from a sibling"
    assert start("mine.py:Second", FILES).client.call("other") == "second"


def test_a_file_of_functions_serves(start):
    source = "def join(parts, sep='-'):\n    return sep.join(parts)\n"
    assert (
        start("f.py", {"f.py": source}).client.call("join", parts=["a", "b"]) == "a-b"
    )


def test_an_adapter_of_the_old_kind_works(start):
    source = """
class Old:
    def __init__(self):
        self.context = None
        self.ready = False

    async def initialize(self):
        self.ready = True

    def set_session_context(self, context):
        self.context = context

    async def execute_tool(self, tool_name, arguments, context):
        if tool_name == "fail":
            raise ValueError("unknown tool: fail")
        return {"tool": tool_name, "arguments": arguments, "ready": self.ready,
                "same": context.session_id == self.context.session_id,
                "session": context.session_id}
"""
    client = start("old.Old", {"old.py": source}).client
    response = client.execute("anything", {"a": 1}, session="s-9")
    import json

    assert json.loads(response.result.value) == {
        "tool": "anything",
        "arguments": {"a": 1},
        "ready": True,
        "same": True,
        "session": "s-9",
    }
    with pytest.raises(Failed, match="unknown tool"):
        client.call("fail")


SIMPLE = """
# my_simple_adapter.py
from snakepit_bridge import BaseCommandHandler, ProtocolHandler
from snakepit_bridge.core import setup_graceful_shutdown, setup_broken_pipe_suppression

class MySimpleHandler(BaseCommandHandler):
    def _register_commands(self):
        self.register_command("uppercase", self.handle_uppercase)
        self.register_command("word_count", self.handle_word_count)

    def handle_uppercase(self, args):
        text = args.get("text", "")
        return {"result": text.upper()}

    def handle_word_count(self, args):
        text = args.get("text", "")
        words = text.split()
        return {
            "word_count": len(words),
            "char_count": len(text),
            "unique_words": len(set(words))
        }

def main():
    setup_broken_pipe_suppression()

    command_handler = MySimpleHandler()
    protocol_handler = ProtocolHandler(command_handler)
    setup_graceful_shutdown(protocol_handler)

    protocol_handler.run()

if __name__ == "__main__":
    main()
"""


def check_simple(worker):
    client = worker.client
    assert client.call("uppercase", text="abc") == {"result": "ABC"}
    counted = client.call("word_count", text="a b a")
    assert counted == {"word_count": 3, "char_count": 5, "unique_words": 2}
    assert worker.stop() == 0, worker.output


def test_the_command_handler_of_the_readme_works_as_a_script(start, tmp_path):
    script = tmp_path / "my_simple_adapter.py"
    script.write_text(SIMPLE)
    worker = start("", script=str(script), PYTHONPATH=str(PACKAGE))
    check_simple(worker)


def test_the_command_handler_of_the_readme_works_as_an_adapter(start):
    check_simple(start("my_simple_adapter.py", {"my_simple_adapter.py": SIMPLE}))


def test_a_script_that_serves_while_it_is_loaded_serves_once(start):
    worker = start(
        "now.py", {"now.py": SIMPLE.replace('if __name__ == "__main__":\n    ', "")}
    )
    check_simple(worker)


def test_arguments_that_are_not_the_workers_are_the_adapters(start):
    source = "import sys\ndef arguments():\n    return sys.argv[1:]\n"
    worker = start("a.py", {"a.py": source}, ["--model", "x", "--port=0"])
    assert worker.client.call("arguments") == ["--model", "x", "--port=0"]


def test_a_failing_initialize_ends_the_worker(start, tmp_path):
    (tmp_path / "bad.py").write_text("""
from snakepit_bridge import BaseAdapter, tool

class Bad(BaseAdapter):
    async def initialize(self):
        raise OSError("no database")

    @tool
    def t(self):
        pass
""")
    process = Process(
        [str(PACKAGE / "snakepit_worker.py"), "--adapter", "bad.py",
         f"--listen=unix:{tmp_path}/s"],
        tmp_path,
        environment(),
    )  # fmt: skip
    assert process.wait() == 1
    assert "OSError: no database" in process.output


def test_help_explains_and_a_missing_value_is_an_error(tmp_path):
    script = str(PACKAGE / "snakepit_worker.py")
    told = Process([script, "--help"], tmp_path, environment())
    assert told.wait() == 0 and "--adapter SPEC" in told.output
    refused = Process([script, "--adapter"], tmp_path, environment())
    assert refused.wait() == 2 and "--adapter needs a value" in refused.output
