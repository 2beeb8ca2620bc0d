# SPDX-License-Identifier: MIT
"""A real worker and a stock gRPC client: calls, failures, streams, the end."""

import json
import signal
import socket
import threading

import pytest
from conftest import DEADLINE, PACKAGE, Failed, Process, environment

grpc = pytest.importorskip("grpc")

TOOLS = """
import asyncio, os, sys, threading, time
from snakepit_bridge import BaseAdapter, StreamChunk, tool
from snakepit_bridge import cancelled, current, time_left

class Tools(BaseAdapter):
    def __init__(self):
        super().__init__()
        self.calls = 0
        self.closed = []

    @tool
    def count(self):
        self.calls += 1
        return self.calls

    @tool
    def give(self, value=None):
        return value

    @tool
    def named(self, a, *, b=2):
        return [a, b]

    @tool
    def all_of_it(self, **args):
        return list(args.items())

    @tool
    def odd(self):
        class Point:
            pass
        return {"ok": 1, "point": Point()}

    @tool
    def raw(self, size: int):
        return b"x" * size

    @tool
    def add_bytes(self, data, n: int = 1):
        return len(data) + n

    @tool
    def who(self):
        context = self.session_context
        return {"session": self.session_id, "metadata": context.request_metadata,
                "tool": context.tool_name, "left": time_left(),
                "cancelled": cancelled()}

    @tool
    def chained(self):
        try:
            {}["missing"]
        except KeyError as failure:
            raise ValueError("outer") from failure

    @tool
    def inner_type_error(self):
        return len(5)

    @tool
    def leave(self, status: int = 3):
        sys.exit(status)

    @tool
    def circular(self):
        value = []
        value.append(value)
        return value

    @tool
    def deep(self, levels: int):
        value = 1
        for _ in range(levels):
            value = [value]
        return value

    async def execute_later(self, args):
        await asyncio.sleep(0.001)
        return {"got": args}

    @tool
    async def forever(self):
        print("forever runs", flush=True)
        try:
            await asyncio.sleep(3600)
        finally:
            print("forever ended", flush=True)

    @tool
    async def blocked(self):
        print("blocked runs", flush=True)
        time.sleep(3600)

    @tool
    def sleeper(self):
        print("sleeper runs", flush=True)
        try:
            time.sleep(3600)
        except BaseException as failure:
            print("sleeper met", type(failure).__name__, flush=True)
            raise

    @tool
    def spinner(self):
        print("spinner runs", flush=True)
        while True:
            pass

    @tool
    def stubborn(self):
        print("stubborn runs", flush=True)
        swallowed = 0
        while True:
            try:
                time.sleep(3600)
            except BaseException:
                swallowed += 1
                if swallowed == 2:
                    print("stubborn gave in", flush=True)
                    raise

    @tool
    def polite(self):
        print("polite runs", flush=True)
        while not cancelled():
            time.sleep(0.001)
        print("polite saw it", flush=True)

    @tool
    def numbers(self, count: int, fail_at: int = -1):
        try:
            for i in range(count):
                if i == fail_at:
                    raise RuntimeError("at %d" % i)
                yield {"i": i}
        finally:
            print("numbers closed", flush=True)

    @tool
    async def ticks(self, count: int):
        try:
            for i in range(count):
                await asyncio.sleep(0)
                yield i
        finally:
            print("ticks closed", flush=True)

    @tool(supports_streaming=True)
    def chunks(self):
        yield StreamChunk({"n": 1})
        yield b"raw bytes"
        yield "text"
        yield StreamChunk({"n": 2}, is_final=True, metadata={"k": "v"})

    @tool
    def fork(self):
        pid = os.fork()
        if pid == 0:
            return "the child comes back"
        return os.waitpid(pid, 0)[1]

    @tool
    def thread_asks(self):
        seen = []
        thread = threading.Thread(target=lambda: seen.append(current().session_id))
        thread.start()
        thread.join()
        return seen

    @tool
    def say(self, text: str):
        print(text)
        print(text, file=sys.stderr)

    @tool
    def crash(self):
        import ctypes
        ctypes.string_at(0)

    async def cleanup(self):
        print("cleaned up", flush=True)
"""


@pytest.fixture
def worker(start):
    return start("tools.py", {"tools.py": TOOLS})


@pytest.fixture
def client(worker):
    return worker.client


# ---- calls ----


def test_ping_and_health_are_answered(showcase):
    assert "x" in showcase.ping()
    assert showcase.health() == b"\x08\x01"  # SERVING


def test_a_call_gives_its_result_and_the_result_its_type(showcase):
    response = showcase.execute("add", {"a": 5, "b": 3})
    assert response.success
    assert json.loads(response.result.value) == {"result": 8}
    assert response.result.type_url.endswith("snakepit.map")


@pytest.mark.parametrize(
    "value, kind",
    [
        ({"a": [1, {"b": None}]}, "map"),
        ([1, "zwei", 3.5, True, False, None], "list"),
        ("grüße \U0001f40d\n", "string"),
        (2**80, "integer"),
        (-7, "integer"),
        (1e300, "float"),
        (True, "boolean"),
        (None, "null"),
    ],
)
def test_values_come_back_as_they_went(client, value, kind):
    response = client.execute("give", {"value": value})
    assert json.loads(response.result.value) == value
    assert type(json.loads(response.result.value)) is type(value)
    assert response.result.type_url.endswith(kind)


def call_text(client, tool, text):
    request = client.request(tool, {})
    request.args_json = text.encode()
    response = client.stub.ExecuteTool(request, timeout=DEADLINE)
    if not response.success:
        raise Failed(response.error_message)
    return json.loads(response.result.value)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"b":2}',
        '{"a":1,"b":[2,{"a":3}]}',
        ' { "a" : "x" , "b" : null } ',
        '{"b":2,"a":1}',
        '{"a":1}',
        '{"a":1,"b":2,"c":3}',
        '{"a":1,"b":2,"a":3}',
        '{"a":1,"a":2}',
        '{"\\u0061":1,"b":2}',
        '{"aa":1,"b":2}',
        '{"ä":1,"b":2}',
        "{}",
        json.dumps({f"k{i}": i for i in range(16)}),
        json.dumps({f"k{i}": i for i in range(17)}),
    ],
)
def test_arguments_are_the_same_whatever_the_call_before_had(client, text):
    """A worker expects what the tool's last call had."""
    expected = [list(item) for item in json.loads(text).items()]
    for before in ['{"a":1,"b":2}', "{}", '{"b":[]}', text]:
        call_text(client, "all_of_it", before)
        assert call_text(client, "all_of_it", text) == expected
        assert call_text(client, "all_of_it", text) == expected


def test_arguments_that_do_not_fit_are_told_however_often(client):
    for _ in range(3):
        with pytest.raises(grpc.RpcError) as caught:
            call_text(client, "named", '{"a":1,"c":2}')
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "'c'" in caught.value.details()
        assert call_text(client, "named", '{"a":1,"b":3}') == [1, 3]


def test_the_adapter_is_one_object_for_all_calls(client):
    assert [client.call("count") for _ in range(3)] == [1, 2, 3]


def test_execute_methods_get_one_dict_and_may_be_async(client):
    assert client.call("later", x=1, y=[2]) == {"got": {"x": 1, "y": [2]}}
    assert client.call("later") == {"got": {}}


def test_a_call_knows_its_session_metadata_and_deadline(client):
    response = client.execute("who", {}, session="s-1", metadata={"k": "v"}, timeout=9)
    told = json.loads(response.result.value)
    assert told["session"] == "s-1"
    assert told["metadata"]["k"] == "v"
    assert told["tool"] == "who"
    assert 0 < told["left"] < 10  # grpcio rounds up a little
    assert told["cancelled"] is False


def test_a_thread_of_a_tool_sees_the_same_call(client):
    response = client.execute("thread_asks", {}, session="s-2")
    assert json.loads(response.result.value) == ["s-2"]


def test_binary_arguments_arrive_as_bytes(client):
    response = client.execute("add_bytes", {"n": 5}, binary={"data": b"\0" * 100})
    assert json.loads(response.result.value) == 105


def test_a_result_of_bytes_travels_raw(client):
    response = client.execute("raw", {"size": 1_000_000})
    assert response.binary_result == b"x" * 1_000_000
    assert json.loads(response.result.value) is None


def test_what_json_cannot_hold_becomes_a_marker(client):
    result = client.call("odd")
    assert result["ok"] == 1
    assert result["point"]["__ffi_unserializable__"] is True
    assert result["point"]["__type__"].endswith("Point")


def test_what_a_tool_prints_is_output_and_nothing_else(worker):
    worker.client.call("say", text="hello from the tool")
    worker.wait_for("hello from the tool\nhello from the tool\n")
    assert worker.client.call("count") == 1


# ---- failures ----


def test_an_exception_tells_type_message_and_traceback(client):
    with pytest.raises(Failed) as caught:
        client.call("chained")
    story = caught.value.story
    assert story["type"] == "ValueError"
    assert story["message"] == "outer"
    text = json.dumps(story)
    assert "KeyError: 'missing'" in text and "tools.py" in text


def test_a_missing_argument_is_a_bad_argument_and_names_it(client):
    with pytest.raises(grpc.RpcError) as caught:
        client.call("named")
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "'a'" in caught.value.details()


def test_an_unexpected_argument_is_a_bad_argument_and_names_it(client):
    with pytest.raises(grpc.RpcError) as caught:
        client.call("named", a=1, c=2)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "'c'" in caught.value.details()


def test_a_type_error_inside_the_tool_is_the_tools_own(client):
    with pytest.raises(Failed) as caught:
        client.call("inner_type_error")
    assert caught.value.story["type"] == "TypeError"


def test_an_unknown_tool_is_refused_with_a_hint(client):
    with pytest.raises(grpc.RpcError) as caught:
        client.call("coun")
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "count" in caught.value.details()


def test_sys_exit_in_a_tool_is_an_error_and_the_worker_goes_on(client):
    with pytest.raises(Failed) as caught:
        client.call("leave")
    assert caught.value.story["type"] == "SystemExit"
    assert client.call("count") == 1


def test_a_circular_result_is_an_error(client):
    with pytest.raises(Failed, match="circular") as caught:
        client.call("circular")
    assert caught.value.story["type"] == "ValueError"
    assert client.call("count") == 1


def test_a_result_nested_too_deep_is_an_error(client):
    assert client.call("deep", levels=100) is not None
    with pytest.raises(Failed, match="deeper"):
        client.call("deep", levels=600)


def test_a_stream_called_as_a_call_is_refused(client):
    with pytest.raises(grpc.RpcError) as caught:
        client.call("numbers", count=3)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "stream" in caught.value.details()


def test_a_crash_leaves_its_python_stack_in_the_output(worker):
    with pytest.raises(grpc.RpcError):
        worker.client.call("crash")
    assert worker.wait() == -signal.SIGSEGV
    assert "in crash" in worker.output


def test_a_child_that_comes_back_from_fork_ends_quietly(client):
    assert client.call("fork") == 0
    assert client.call("count") == 1


# ---- streams ----


def test_a_generator_is_a_stream(worker):
    assert worker.client.stream("numbers", count=3) == [{"i": 0}, {"i": 1}, {"i": 2}]
    worker.wait_for("numbers closed")


def test_an_async_generator_is_a_stream(worker):
    assert worker.client.stream("ticks", count=4) == [0, 1, 2, 3]
    worker.wait_for("ticks closed")


def test_a_plain_result_of_a_stream_call_is_its_only_chunk(client):
    assert client.stream("give", value={"a": 1}) == [{"a": 1}]
    assert client.stream("give", value=[1, 2]) == [[1, 2]]


def test_chunks_may_be_raw_or_carry_metadata(client):
    data = [c.data for c in client.open_stream("chunks") if c.data]
    assert json.loads(data[0]) == {"n": 1, "is_final": False}
    assert data[1] == b"raw bytes"
    assert json.loads(data[2]) == "text"
    assert json.loads(data[3]) == {"n": 2, "is_final": True, "_metadata": {"k": "v"}}


def test_a_stream_that_fails_delivers_what_it_had(client):
    seen = []
    with pytest.raises(grpc.RpcError) as caught:
        for chunk in client.open_stream("numbers", count=9, fail_at=3):
            seen.append(json.loads(chunk.data)["i"])
    assert seen == [0, 1, 2]
    assert "at 3" in caught.value.details()


def test_bad_arguments_of_a_stream_are_told(client):
    with pytest.raises(grpc.RpcError) as caught:
        client.stream("numbers")
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_long_stream_arrives_whole_and_in_order(client):
    chunks = client.open_stream("numbers", count=50_000)
    assert [json.loads(c.data)["i"] for c in chunks if c.data] == list(range(50_000))


def test_a_stream_nobody_reads_waits_and_lets_calls_through(worker):
    stream = worker.client.open_stream("numbers", count=10_000_000, timeout=60)
    next(stream)
    assert worker.client.call("count") == 1
    stream.cancel()
    worker.wait_for("numbers closed")


def test_cancelling_a_stream_closes_its_async_generator(worker):
    stream = worker.client.open_stream("ticks", count=10_000_000, timeout=60)
    next(stream)
    stream.cancel()
    worker.wait_for("ticks closed")
    assert worker.client.call("count") == 1


# ---- cancellation ----


def cancel_when_running(worker, tool):
    future = worker.client.stub.ExecuteTool.future(
        worker.client.request(tool, {}), timeout=60
    )
    worker.wait_for(f"{tool} runs")
    future.cancel()


@pytest.mark.parametrize("tool", ["sleeper", "spinner", "forever", "blocked"])
def test_a_cancelled_call_is_interrupted(worker, tool):
    cancel_when_running(worker, tool)
    assert worker.client.call("count") == 1


def test_cancelled_is_raised_in_the_tool(worker):
    cancel_when_running(worker, "sleeper")
    worker.wait_for("sleeper met Cancelled")


def test_a_cancelled_coroutine_runs_its_finally_blocks(worker):
    cancel_when_running(worker, "forever")
    assert worker.client.call("count") == 1
    assert "forever ended" in worker.wait_for("forever ended")


def test_a_tool_that_swallows_cancelled_meets_it_again(worker):
    cancel_when_running(worker, "stubborn")
    worker.wait_for("stubborn gave in")


def test_a_tool_can_ask_whether_it_was_cancelled(start):
    worker = start("tools.py", {"tools.py": TOOLS}, SNAKEPIT_CANCEL_SIGNAL="none")
    cancel_when_running(worker, "polite")
    worker.wait_for("polite saw it")


def test_the_signal_that_interrupts_is_a_setting(start):
    worker = start("tools.py", {"tools.py": TOOLS}, SNAKEPIT_CANCEL_SIGNAL="SIGUSR2")
    cancel_when_running(worker, "sleeper")
    worker.wait_for("sleeper met Cancelled")


def test_a_deadline_interrupts_like_a_cancellation(worker):
    with pytest.raises(grpc.RpcError) as caught:
        worker.client.execute("sleeper", {}, timeout=0.2)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    worker.wait_for("sleeper met Cancelled")


def test_a_busy_worker_answers_pings(worker):
    future = worker.client.stub.ExecuteTool.future(
        worker.client.request("spinner", {}), timeout=60
    )
    worker.wait_for("spinner runs")
    for _ in range(20):
        assert "x" in worker.client.ping()
    assert not future.done()
    future.cancel()


# ---- the end ----


def test_sigterm_ends_the_worker_after_cleanup(worker):
    worker.client.call("count")
    assert worker.stop() == 0
    assert "cleaned up" in worker.output


def test_sigint_ends_the_worker_too(worker):
    worker.client.call("count")
    assert worker.stop(signal.SIGINT) == 0
    assert "cleaned up" in worker.output


def test_sigterm_right_after_the_announcement_ends_the_worker_after_cleanup(start):
    source = (
        TOOLS
        + """
class Output:
    \"What is printed between the announcement and the first wait for calls.\"

    def write(self, text):
        size = sys.__stdout__.write(text)
        sys.__stdout__.flush()
        if "listening on" in text:
            os.kill(os.getpid(), 15)
        return size

    def flush(self):
        sys.__stdout__.flush()

sys.stdout = Output()
"""
    )
    worker = start("tools.py", {"tools.py": source})
    assert worker.wait() == 0, worker.output
    assert "cleaned up" in worker.output


def test_sigterm_while_the_host_is_silent_ends_the_worker_after_cleanup(tmp_path):
    (tmp_path / "tools.py").write_text(TOOLS, encoding="utf-8")
    calls, workers_calls = socket.socketpair()
    host, workers_host = socket.socketpair()
    with calls, host, workers_calls, workers_host:
        worker = Process(
            [str(PACKAGE / "snakepit_worker.py"), "--adapter", "tools.py"],
            tmp_path,
            environment(
                SNAKEPIT_CALL_FD=str(workers_calls.fileno()),
                SNAKEPIT_HOST_FD=str(workers_host.fileno()),
            ),
            pass_fds=(workers_calls.fileno(), workers_host.fileno()),
        )
        try:
            host.settimeout(DEADLINE)
            said = b""
            while b"add_bytes" not in said:  # the announcement; it is not answered
                said += host.recv(65536)
            assert worker.stop() == 0, worker.output
        finally:
            worker.end()
    assert "cleaned up" in worker.output
    assert "Traceback" not in worker.output


def test_a_running_call_is_finished_before_the_end(start):
    source = """
def slow():
    import time, sys
    print("slow runs", flush=True)
    time.sleep(0.3)
    return "done"
"""
    worker = start("slow.py", {"slow.py": source})
    answers = []
    thread = threading.Thread(target=lambda: answers.append(worker.client.call("slow")))
    thread.start()
    worker.wait_for("slow runs")
    assert worker.stop() == 0
    thread.join(DEADLINE)
    assert answers == ["done"]


def test_an_adapter_that_cannot_be_loaded_ends_the_worker(tmp_path):
    worker = Process(
        [str(PACKAGE / "snakepit_worker.py"), "--adapter", "no_such_module:Thing",
         "--listen", f"unix:{tmp_path}/s"],
        tmp_path,
        environment(),
    )  # fmt: skip
    assert worker.wait() == 1
    assert "ModuleNotFoundError" in worker.output and "no_such_module" in worker.output


def test_start_up_imports_nothing_heavy(tmp_path):
    source = """
import sys
def loaded():
    return sorted(sys.modules)
"""
    (tmp_path / "light.py").write_text(source)
    check = """
import sys
sys.path.insert(0, %r)
from snakepit_bridge import loader, worker
loader.load("showcase")
heavy = {"json", "asyncio", "typing", "inspect", "dataclasses", "logging", "re",
         "traceback", "signal", "enum", "threading", "argparse", "importlib"}
print(sorted(heavy & set(sys.modules)))
""" % str(PACKAGE)
    process = Process(["-I", "-S", "-c", check], tmp_path, environment())
    assert process.wait() == 0, process.output
    assert process.output.strip() == "[]"
