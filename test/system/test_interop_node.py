# SPDX-License-Identifier: MIT
"""@grpc/grpc-js on the other side of the wire: as our worker, as our client.

Nothing of snakepit is on that side but proto/, which @grpc/proto-loader reads. The
packages are those of node/package-lock.json; where they are missing, npm installs them.
"""

import json
import shutil
import subprocess

import pytest

import peers

NODE = peers.HERE / "node"
INSTALL_S = 600
LARGE_BYTES = 4 << 20
CANCELLED = -8  # SP_ERR_CANCELLED
TIMEOUT = -7  # SP_ERR_TIMEOUT
STATUS = {"OK": 0, "CANCELLED": 1, "DEADLINE_EXCEEDED": 4, "NOT_FOUND": 5,
          "UNIMPLEMENTED": 12}  # fmt: skip

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or shutil.which("npm") is None,
    reason="needs node and npm",
)


@pytest.fixture(scope="module", autouse=True)
def packages():
    """The packages of the lock file, installed when they are not there yet."""
    if (NODE / "node_modules" / "@grpc" / "grpc-js").is_dir():
        return
    done = subprocess.run(
        ["npm", "ci", "--prefix", NODE, "--no-audit", "--no-fund", "--ignore-scripts"],
        capture_output=True,
        text=True,
        timeout=INSTALL_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr


# ---- a Node server as a worker of our host ----


@pytest.fixture
def stock(tmp_path):
    """A host with a Node worker, and the worker's notes."""
    with peers.Notes(tmp_path / "notes") as notes:
        host = peers.stock_pool(
            tmp_path,
            [shutil.which("node"), NODE / "worker.js", "{address}", notes.path],
        )
        host.notes = notes
        yield host


def test_a_node_worker_answers_a_call(stock):
    assert stock.call("add", {"a": 2, "b": 40}) == {"result": 42}


def test_the_example_of_a_stock_worker(tmp_path):
    modules = json.dumps({"set": {"NODE_PATH": str(NODE / "node_modules")}})
    example = peers.ROOT / "examples" / "node" / "grpc_worker.js"
    host = peers.stock_pool(tmp_path, [shutil.which("node"), example, "{address}"], env=modules)
    assert host.call("add", {"a": 2, "b": 40}) == {"result": 42}
    assert host.stream("count", {"n": 3}) == [{"i": 0}, {"i": 1}, {"i": 2}]
    error = host.fail("upper", {"text": 5})
    assert error["name"] == "SP-REMOTE" and error["remote_type"] == "TypeError"
    assert host.fail("nothing")["name"] == "SP-NO-TOOL"


def test_a_node_worker_gets_each_argument_as_json(stock):
    arguments = {
        "text": "snåke 🐍 \"quoted\"\n",
        "part": 0.1,
        "flag": False,
        "nothing": None,
        "list": [1, [2, {"three": 3}]],
    }
    assert stock.call("echo", arguments) == {"echoed": arguments}


def test_a_node_worker_sees_session_and_deadline(stock):
    seen = stock.call("seen", {"a": 1}, "--session", "ann", "--timeout", "30s")
    assert seen["session_id"] == "ann"
    assert seen["tool_name"] == "seen"
    assert seen["types"] == {"a": "type.googleapis.com/google.protobuf.StringValue"}
    assert 0 < seen["milliseconds_left"] <= 30_000


def test_a_node_worker_streams(stock):
    chunks = stock.stream("count", {"count": 1000})
    assert chunks == [{"i": i} for i in range(1000)]


def test_large_messages_go_both_ways(stock):
    text = "0123456789abcdef" * (LARGE_BYTES // 16)
    done = peers.run(
        *stock.command("call", "repeat"), "-",
        input=json.dumps({"text": text, "times": 2}),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"text": text * 2}


def test_many_calls_share_one_connection(stock):
    lines = [f"add a={i} b=1" for i in range(300)]
    results = stock.script(lines, "--parallel", "16")
    assert results == [{"result": i + 1} for i in range(300)]


def test_failures_told_as_text_and_as_an_object(stock):
    error = stock.fail("tell_text")
    assert error["name"] == "SP-REMOTE"
    assert "the text of a failure, nothing else" in error["message"]
    error = stock.fail("tell_object")
    assert error["remote_type"] == "RangeError"
    assert error["remote_message"] == "too far"
    assert error["remote_trace"] == "at here"


@pytest.mark.parametrize(
    ("status", "name"),
    [
        ("INVALID_ARGUMENT", "SP-BAD-ARGS"),
        ("UNIMPLEMENTED", "SP-NO-TOOL"),
        ("FAILED_PRECONDITION", "SP-REMOTE"),
    ],
)
def test_an_aborted_call_has_the_code_of_its_status(stock, status, name):
    error = stock.fail("abort", {"status": status, "text": "it says: 50 % snåke"})
    assert error["name"] == name
    assert error["message"] == "it says: 50 % snåke"


def test_a_stream_that_breaks_off_gives_its_chunks_and_its_error(stock):
    error = stock.fail("break_off", verb="stream")
    assert error["chunks"] == [{"i": 0}]
    assert error["name"] == "SP-REMOTE"
    assert error["message"] == "nothing more to be had"


def test_a_deadline_cancels_the_call_in_the_worker(stock):
    with peers.Pit(stock.config) as pit:
        assert pit.wait(pit.start("wait", {}, timeout_ms=1500)) == TIMEOUT
        stock.notes.wait_for("cancelled")
        assert pit.call("add", {"a": 1, "b": 1}) == 0


def test_cancelling_reaches_the_call_in_the_worker(stock):
    with peers.Pit(stock.config) as pit:
        call = pit.start("wait", {})
        stock.notes.wait_for("waiting")
        pit.cancel(call)
        assert pit.wait(call) == CANCELLED
        stock.notes.wait_for("cancelled")
        assert pit.call("add", {"a": 1, "b": 1}) == 0


def test_closing_a_stream_cancels_it_in_the_worker(stock):
    with peers.Pit(stock.config) as pit:
        with pit.stream("forever", {}) as following:
            assert following()["i"] == 0
            assert following()["i"] == 1
        stock.notes.wait_for("stream cancelled")
        assert pit.call("add", {"a": 1, "b": 1}) == 0


def test_a_node_worker_that_dies_is_told_with_its_status(stock):
    error = stock.fail("end_process", {"status": 3})
    assert error["name"] == "SP-WORKER-DIED"
    assert error["worker_exit"] == 3


# ---- Node as a client of our worker ----


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    adapter = peers.HERE / "workers" / "interop_adapter.py"
    with peers.listening_worker(
        tmp_path_factory.mktemp("worker"), f"{adapter}:Interop"
    ) as found:
        yield found


@pytest.fixture
def ask(address, notes):
    """Run one of the client's scenarios; gives what it saw."""

    def run(scenario, when=None):
        with peers.running(
            "node", NODE / "client.js", address, scenario, notes.path,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        ) as client:  # fmt: skip
            if when is not None:
                notes.wait_for(when)
                client.stdin.write(b"go on\n")
                client.stdin.flush()
            return json.loads(peers.line_of(client))

    return run


def test_our_worker_answers_a_ping(ask):
    seen = ask("ping")
    assert seen["message"].endswith(": hello")
    assert seen["server_time"]["seconds"] > 1_600_000_000


def test_our_worker_executes_a_tool(ask):
    assert ask("add") == {"result": 42}


def test_arguments_session_and_metadata_arrive(ask):
    seen = ask("seen")
    assert seen["arguments"] == {
        "part": 0.5,
        "text": "snåke 🐍",
        "flag": True,
        "nothing": None,
        "list": [1, {"two": 2}],
    }
    assert seen["session_id"] == "ann"
    assert seen["metadata"] == {"correlation_id": "sp-1"}
    assert 0 < seen["seconds_left"] <= 61


def test_many_calls_at_once(ask):
    assert ask("many") == [2 * i for i in range(500)]


def test_large_messages_of_a_client(ask):
    assert ask("large") == {"length": 2 * LARGE_BYTES, "is_right": True}


def test_our_worker_streams_in_order(ask):
    seen = ask("stream")
    assert seen["code"] == STATUS["OK"]
    assert seen["indexes"] == list(range(200))
    assert seen["is_final"]
    assert seen["first_id"] == "stream_fibonacci-1"


def test_an_exception_is_told_in_the_answer(ask):
    seen = ask("exception")
    assert not seen["success"]
    assert seen["told"]["type"] == "ValueError"
    assert "Traceback" in seen["told"]["traceback"]


def test_an_exception_in_a_stream_ends_it_after_its_chunks(ask):
    seen = ask("broken_stream")
    assert seen["chunks"] == [{"i": 0}]
    assert seen["code"] != STATUS["OK"]
    assert "nothing more to be had" in seen["details"]


def test_unknown_tools_and_methods_are_unimplemented(ask):
    seen = ask("unknown_tool")
    assert seen["code"] == STATUS["UNIMPLEMENTED"]
    assert "add" in seen["details"]
    assert ask("unknown_method") == {"code": STATUS["UNIMPLEMENTED"]}


def test_a_deadline_interrupts_the_tool(ask, notes):
    seen = ask("deadline")
    assert seen == {"code": STATUS["DEADLINE_EXCEEDED"], "next": {"result": 42}}
    notes.wait_for("interrupted")


def test_cancelling_interrupts_the_tool(ask, notes):
    seen = ask("cancel", when="waiting")
    assert seen == {"code": STATUS["CANCELLED"], "next": {"result": 42}}
    notes.wait_for("interrupted")


def test_cancelling_stops_the_generator(ask, notes):
    seen = ask("cancel_stream")
    assert seen == {"code": STATUS["CANCELLED"], "next": {"result": 42}}
    notes.wait_for("closed")


def test_health_of_known_and_unknown_services(ask):
    assert ask("health") == {
        "serving": "SERVING",
        "unknown": STATUS["NOT_FOUND"],
        "watched": "SERVING",
    }


def test_telemetry_tells_of_calls_until_the_client_ends_it(ask):
    assert ask("telemetry") == {
        "events": [
            {"name": "tool.execution.start", "tool": "add"},
            {"name": "python.call.start", "tool": "add"},
            {"name": "python.call.stop", "tool": "add"},
            {"name": "tool.result_size", "tool": "add"},
            {"name": "tool.execution.stop", "tool": "add"},
        ],
        "code": STATUS["OK"],
    }
