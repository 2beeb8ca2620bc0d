# SPDX-License-Identifier: MIT
"""grpcio, as Debian has it, on the other side of the wire: as our worker, as our client.

Nothing of snakepit is on that side but proto/; its modules are generated for each run.
"""

import json
import os
import queue
import signal
import subprocess
import threading

import pytest

import peers

grpc = pytest.importorskip("grpc", reason="needs python3-grpcio")

LARGE_BYTES = 4 << 20
CANCELLED = -8  # SP_ERR_CANCELLED
TIMEOUT = -7  # SP_ERR_TIMEOUT


# ---- a grpcio server as a worker of our host ----


@pytest.fixture
def stock(tmp_path, stubs):
    """A host with a grpcio worker, and the worker's notes."""
    with peers.Notes(tmp_path / "notes") as notes:
        script = peers.HERE / "workers" / "grpcio_worker.py"
        host = peers.stock_pool(
            tmp_path, [peers.PYTHON, script, stubs, "{address}", notes.path]
        )
        host.notes = notes
        yield host


def test_a_stock_worker_answers_a_call(stock):
    assert stock.call("add", {"a": 2, "b": 40}) == {"result": 42}


def test_a_stock_worker_gets_each_argument_as_json(stock):
    arguments = {
        "whole": 2**60,
        "part": 0.1,
        "text": "snåke 🐍 \"quoted\"\n",
        "flag": True,
        "nothing": None,
        "list": [1, [2, {"three": 3}]],
        "empty": {},
    }
    assert stock.call("echo", arguments) == {"echoed": arguments}


def test_a_stock_worker_sees_tool_session_and_string_values(stock):
    seen = stock.call("seen", {"a": 1, "b": "two"}, "--session", "ann")
    assert seen["session_id"] == "ann"
    assert seen["tool_name"] == "seen"
    assert not seen["stream"]
    string_value = "type.googleapis.com/google.protobuf.StringValue"
    assert seen["types"] == {"a": string_value, "b": string_value}


def test_a_stock_worker_sees_the_deadline(stock):
    left = stock.call("seen", {}, "--timeout", "30s")["seconds_left"]
    assert 0 < left <= 30


def test_a_stock_worker_streams(stock):
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


def test_a_failure_told_as_text_is_a_remote_error(stock):
    error = stock.fail("tell_text")
    assert error["name"] == "SP-REMOTE"
    assert "the text of a failure, nothing else" in error["message"]
    assert error["executed"] == "yes"


def test_a_failure_told_as_an_object_keeps_type_message_and_trace(stock):
    error = stock.fail("tell_object")
    assert error["name"] == "SP-REMOTE"
    assert error["remote_type"] == "KeyError"
    assert error["remote_message"] == "'missing'"
    assert error["remote_trace"].startswith("Traceback ...\n")


@pytest.mark.parametrize(
    ("status", "name"),
    [
        ("INVALID_ARGUMENT", "SP-BAD-ARGS"),
        ("UNIMPLEMENTED", "SP-NO-TOOL"),
        ("RESOURCE_EXHAUSTED", "SP-TOO-BIG"),
        ("PERMISSION_DENIED", "SP-REMOTE"),
        ("INTERNAL", "SP-REMOTE"),
    ],
)
def test_an_aborted_call_has_the_code_of_its_status(stock, status, name):
    error = stock.fail("abort", {"status": status, "text": "it says: 50 % snåke"})
    assert error["name"] == name
    assert error["message"] == "it says: 50 % snåke"


def test_details_of_a_stranger_do_no_harm(stock):
    error = stock.fail("abort_with_details")
    assert error["name"] == "SP-REMOTE"
    assert error["grpc_status"] == 9
    assert error["message"] == "the details say more"


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


def test_a_stock_worker_that_dies_is_told_with_its_status(stock):
    error = stock.fail("end_process", {"status": 3})
    assert error["name"] == "SP-WORKER-DIED"
    assert "status 3" in error["message"]
    assert error["worker_exit"] == 3


def test_a_stock_worker_that_never_starts_is_told_with_its_last_words(tmp_path):
    host = peers.stock_pool(
        tmp_path,
        [peers.PYTHON, "-c", "raise SystemExit('no model here')", "{address}"],
        startup_timeout="2s",
    )
    done = peers.run(peers.CLI, "call", "--config", host.config, "add")
    assert done.returncode == 3
    assert "exited with status 1 before it was ready" in done.stderr
    assert "no model here" in done.stderr


# ---- grpcio as a client of our worker ----


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    adapter = peers.HERE / "workers" / "interop_adapter.py"
    with peers.listening_worker(
        tmp_path_factory.mktemp("worker"), f"{adapter}:Interop"
    ) as found:
        yield found


@pytest.fixture
def client(stubs, address):
    with peers.connected(address) as found:
        yield found


def rich_status(error):
    """The google.rpc messages in an error's details, by name."""
    import error_details_pb2
    import status_pb2

    details = dict(error.trailing_metadata())["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(details)
    assert status.code == error.code().value[0]
    found = {"status": status}
    for any_ in status.details:
        for kind in (error_details_pb2.ErrorInfo, error_details_pb2.DebugInfo):
            message = kind()
            if any_.Unpack(message):
                found[kind.DESCRIPTOR.name] = message
    return found


def test_our_worker_answers_a_ping(client):
    response = client.bridge.Ping(client.pb.PingRequest(message="hello"), timeout=10)
    assert response.message.endswith(": hello")
    assert response.server_time.seconds > 1_600_000_000


def test_our_worker_executes_a_tool(client):
    assert client.execute("add", {"a": 2, "b": 40}) == {"result": 42}


def test_a_result_says_what_kind_of_value_it_is(client):
    response = client.bridge.ExecuteTool(client.request("ping"), timeout=10)
    assert response.result.type_url == "type.googleapis.com/snakepit.map"
    assert json.loads(response.result.value)["status"] == "pong"


def test_arguments_arrive_with_their_types(client):
    arguments = {
        "whole": 2**80,
        "part": 0.5,
        "text": "snåke 🐍",
        "flag": False,
        "nothing": None,
        "list": [1, {"two": [3]}],
    }
    seen = client.execute("seen", arguments)
    assert seen["arguments"] == arguments
    assert seen["types"] == {
        "whole": "int",
        "part": "float",
        "text": "str",
        "flag": "bool",
        "nothing": "NoneType",
        "list": "list",
    }


def test_a_packed_string_value_is_text_too(client):
    from google.protobuf import wrappers_pb2

    request = client.request("process_text", {"operation": "upper"})
    request.parameters["text"].Pack(wrappers_pb2.StringValue(value="snåke"))
    response = client.bridge.ExecuteTool(request, timeout=10)
    assert json.loads(response.result.value)["result"] == "SNÅKE"


def test_raw_binary_arguments_arrive_as_bytes(client):
    data = bytes(range(256)) * 16
    response = client.bridge.ExecuteTool(
        client.request(
            "process_binary",
            {"operation": "checksum"},
            binary_parameters={"data": data},
        ),
        timeout=10,
    )
    import hashlib

    assert response.success, response.error_message
    assert hashlib.sha256(data).hexdigest() in response.result.value.decode()


def test_session_and_metadata_arrive(client):
    seen = client.execute(
        "seen", {}, session_id="ann", metadata={"correlation_id": "sp-1", "å": "ü"}
    )
    assert seen["session_id"] == "ann"
    assert seen["metadata"] == {"correlation_id": "sp-1", "å": "ü"}


def test_headers_of_a_client_do_no_harm(client):
    response = client.bridge.ExecuteTool(
        client.request("add", {"a": 1, "b": 1}),
        timeout=10,
        metadata=(("x-snakepit-correlation-id", "sp-2"), ("trace-bin", b"\x00\xff")),
    )
    assert response.success


def test_a_deadline_arrives(client):
    left = client.execute("seen", {}, timeout=30)["seconds_left"]
    assert 0 < left <= 31  # grpcio rounds up


def fibonacci(index):
    value, following = 0, 1
    for _ in range(index):
        value, following = following, value + following
    return value


def test_our_worker_streams_in_order(client):
    chunks = list(client.open_stream("stream_fibonacci", {"count": 500}))
    assert chunks[-1].is_final
    values = [json.loads(chunk.data) for chunk in chunks if chunk.data]
    assert [value["index"] for value in values] == list(range(500))
    assert values[-1]["value"] == fibonacci(499)
    names = [chunk.chunk_id for chunk in chunks[:3]]
    assert names == ["stream_fibonacci-1", "stream_fibonacci-2", "stream_fibonacci-3"]


def test_many_calls_at_once(client):
    futures = [
        client.bridge.ExecuteTool.future(
            client.request("add", {"a": i, "b": i}), timeout=peers.DEADLINE_S
        )
        for i in range(500)
    ]
    results = [json.loads(f.result().result.value)["result"] for f in futures]
    assert results == [2 * i for i in range(500)]


def test_large_messages_of_a_client(client):
    text = "x" * LARGE_BYTES
    assert client.execute("repeat", {"text": text, "times": 2}) == {"text": text * 2}


def test_a_deadline_ends_the_call_and_frees_the_worker(client, notes):
    error, *_ = peers.failure(lambda: client.execute("wait", {"path": str(notes.path)}, timeout=1.5))
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert notes.next() == "waiting"
    assert notes.next() == "interrupted"
    assert client.execute("add", {"a": 1, "b": 1}) == {"result": 2}


def test_cancelling_interrupts_the_tool(client, notes):
    future = client.bridge.ExecuteTool.future(
        client.request("wait", {"path": str(notes.path)}), timeout=peers.DEADLINE_S
    )
    notes.wait_for("waiting")
    future.cancel()
    notes.wait_for("interrupted")
    assert client.execute("add", {"a": 1, "b": 1}) == {"result": 2}


def test_a_busy_worker_answers_pings(client, notes):
    future = client.bridge.ExecuteTool.future(
        client.request("wait", {"path": str(notes.path)}), timeout=peers.DEADLINE_S
    )
    try:
        notes.wait_for("waiting")
        response = client.bridge.Ping(client.pb.PingRequest(message="busy"), timeout=10)
        assert response.message.endswith(": busy")
    finally:
        future.cancel()
    notes.wait_for("interrupted")


def test_cancelling_stops_the_generator(client, notes):
    stream = client.open_stream("forever", {"path": str(notes.path)})
    chunks = [json.loads(next(stream).data) for _ in range(10)]
    assert chunks == [{"i": i} for i in range(10)]
    stream.cancel()
    notes.wait_for("closed")
    assert client.execute("add", {"a": 1, "b": 1}) == {"result": 2}


def test_a_stream_waits_for_a_reader_that_does_not_read(client, notes):
    """The worker must go on serving others while a stream is held up."""
    stream = client.open_stream("forever", {"path": str(notes.path)})
    assert json.loads(next(stream).data) == {"i": 0}
    assert client.execute("add", {"a": 1, "b": 1}) == {"result": 2}
    stream.cancel()
    notes.wait_for("closed")


def test_an_exception_is_told_in_the_answer(client):
    response = client.bridge.ExecuteTool(
        client.request("error_demo", {"error_type": "value"}), timeout=10
    )
    assert not response.success
    told = json.loads(response.error_message)
    assert told["type"] == "ValueError"
    assert "ValueError" in told["message"]
    assert "Traceback" in told["traceback"]


def test_an_exception_in_a_stream_is_a_rich_status(client):
    stream = client.open_stream("break_off")
    chunks = []
    error, *_ = peers.failure(lambda: chunks.extend(stream))
    assert [json.loads(chunk.data) for chunk in chunks] == [{"i": 0}]
    details = rich_status(error)
    assert details["ErrorInfo"].reason == "SP-REMOTE"
    assert details["ErrorInfo"].domain == "snakepit"
    assert details["ErrorInfo"].metadata["executed"] == "yes"
    text = str(details["DebugInfo"])
    assert "KeyError" in text and "nothing more to be had" in text


def test_an_unknown_tool_is_unimplemented_and_names_the_nearest(client):
    error, *_ = peers.failure(lambda: client.execute("ad", {"a": 1, "b": 1}))
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "add" in error.details()
    details = rich_status(error)
    assert details["ErrorInfo"].reason == "SP-NO-TOOL"
    assert details["ErrorInfo"].metadata["executed"] == "no"


def test_wrong_arguments_are_an_invalid_argument(client):
    error, *_ = peers.failure(lambda: client.execute("add", {"a": 1, "c": 1}))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert rich_status(error)["ErrorInfo"].reason == "SP-BAD-ARGS"


def test_arguments_that_are_no_json_are_an_invalid_argument(client):
    request = client.request("add", {"b": 1})
    request.parameters["a"].value = b"{1"
    error, *_ = peers.failure(lambda: client.bridge.ExecuteTool(request, timeout=10))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "'a'" in error.details()


@pytest.mark.parametrize(
    "path", ["/snakepit.bridge.BridgeService/NoSuchMethod", "/other.Service/Method"]
)
def test_an_unknown_method_is_unimplemented(client, path):
    error, *_ = peers.failure(lambda: client.channel.unary_unary(path)(b"", timeout=10))
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_request_that_is_no_message_is_refused(client):
    path = "/snakepit.bridge.BridgeService/ExecuteTool"
    error, *_ = peers.failure(lambda: client.channel.unary_unary(path)(b"\xff\xff", timeout=10))
    assert error.code() in (
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.INTERNAL,
    )
    assert client.execute("add", {"a": 1, "b": 1}) == {"result": 2}


def test_compressed_requests_are_refused_as_the_protocol_says(client):
    error, *_ = peers.failure(
        lambda: client.bridge.ExecuteTool(
            client.request("repeat", {"text": "x" * 10000}),
            timeout=10,
            compression=grpc.Compression.Gzip,
        )
    )
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED
    assert client.execute("add", {"a": 1, "b": 1}) == {"result": 2}


def test_sessions_of_a_client(client):
    pb, bridge = client.pb, client.bridge
    opened = bridge.InitializeSession(
        pb.InitializeSessionRequest(session_id="bob", metadata={"who": "bob"}),
        timeout=10,
    )
    assert opened.success
    assert bridge.Heartbeat(pb.HeartbeatRequest(session_id="bob"), timeout=10).session_valid
    session = bridge.GetSession(pb.GetSessionRequest(session_id="bob"), timeout=10)
    assert session.metadata["who"] == "bob"
    client.execute("set_counter", {"value": 4}, session_id="bob")
    assert client.execute("increment_counter", session_id="bob") == {"value": 5}
    closed = bridge.CleanupSession(pb.CleanupSessionRequest(session_id="bob"), timeout=10)
    assert closed.success and closed.resources_cleaned == 1
    alive = bridge.Heartbeat(pb.HeartbeatRequest(session_id="bob"), timeout=10)
    assert not alive.session_valid
    error, *_ = peers.failure(
        lambda: bridge.GetSession(pb.GetSessionRequest(session_id="bob"), timeout=10)
    )
    assert error.code() == grpc.StatusCode.NOT_FOUND


def health_stub(client):
    import health_pb2
    import health_pb2_grpc

    return health_pb2, health_pb2_grpc.HealthStub(client.channel)


@pytest.mark.parametrize("service", ["", "snakepit.bridge.BridgeService"])
def test_health_of_a_known_service_is_serving(client, service):
    pb, health = health_stub(client)
    response = health.Check(pb.HealthCheckRequest(service=service), timeout=10)
    assert response.status == pb.HealthCheckResponse.SERVING


def test_health_of_an_unknown_service_is_not_found(client):
    pb, health = health_stub(client)
    error, *_ = peers.failure(lambda: health.Check(pb.HealthCheckRequest(service="x"), timeout=10))
    assert error.code() == grpc.StatusCode.NOT_FOUND


def test_health_is_told_at_once_to_who_watches(client):
    pb, health = health_stub(client)
    watch = health.Watch(pb.HealthCheckRequest(), timeout=peers.DEADLINE_S)
    assert next(watch).status == pb.HealthCheckResponse.SERVING
    watch.cancel()
    other = health.Watch(pb.HealthCheckRequest(service="x"), timeout=peers.DEADLINE_S)
    assert next(other).status == pb.HealthCheckResponse.SERVICE_UNKNOWN
    other.cancel()


def test_a_stopping_worker_tells_who_watches_and_ends(stubs, tmp_path):
    address = f"unix:{tmp_path}/worker.sock"
    with peers.running(
        peers.PYTHON, peers.WORKER, "--listen", address, stdout=subprocess.PIPE
    ) as worker:
        peers.line_of(worker)
        with grpc.insecure_channel(address) as channel:
            pb, health = health_stub(peers.Client(channel))
            watch = health.Watch(pb.HealthCheckRequest(), timeout=peers.DEADLINE_S)
            assert next(watch).status == pb.HealthCheckResponse.SERVING
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(peers.DEADLINE_S) == 0
            # It has left, and what it said last is still read to the end.
            assert next(watch).status == pb.HealthCheckResponse.NOT_SERVING
            with pytest.raises(grpc.RpcError) as ended:
                next(watch)
        assert ended.value.code() == grpc.StatusCode.UNAVAILABLE
        assert ended.value.details() == "the worker stops"
    assert not os.path.exists(f"{tmp_path}/worker.sock")


class Telemetry:
    """StreamTelemetry from the client's side: controls out, events in."""

    def __init__(self, client):
        self.pb = client.pb
        self._controls = queue.Queue()
        self._stream = client.bridge.StreamTelemetry(
            iter(self._controls.get, None), timeout=peers.DEADLINE_S
        )
        self._stream.initial_metadata()  # it has been accepted

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self._controls.put(None)
        self._stream.cancel()

    def control(self, **fields):
        self._controls.put(self.pb.TelemetryControl(**fields))

    def next(self):
        event = next(self._stream)
        return ".".join(event.event_parts), event


def test_telemetry_tells_of_calls(client):
    with Telemetry(client) as telemetry:
        client.execute("add", {"a": 1, "b": 1}, session_id="ann")
        name, event = telemetry.next()
        assert name == "tool.execution.start"
        assert event.metadata["tool"] == "add"
        assert event.metadata["session_id"] == "ann"
        assert event.timestamp_ns > 1_600_000_000 * 10**9
        name, event = telemetry.next()
        assert name == "python.call.start"
        name, event = telemetry.next()
        assert name == "python.call.stop"
        name, event = telemetry.next()
        assert name == "tool.result_size"
        assert event.measurements["message_size"].int_value > 0
        name, event = telemetry.next()
        assert name == "tool.execution.stop"
        assert event.measurements["duration"].int_value > 0


def test_telemetry_is_controlled_while_it_runs(client):
    with Telemetry(client) as telemetry:
        telemetry.control(toggle=client.pb.TelemetryToggle(enabled=False))
        telemetry.control(toggle=client.pb.TelemetryToggle(enabled=True))
        telemetry.control(
            sampling=client.pb.TelemetrySamplingUpdate(sampling_rate=1.0)
        )
        # The controls and the call travel on streams of their own: call until an event
        # comes, which it must once they have arrived.
        seen = []
        reader = threading.Thread(target=lambda: seen.append(telemetry.next()))
        reader.start()
        while reader.is_alive():
            client.bridge.ExecuteTool(
                client.request("error_demo", {"error_type": "key"}), timeout=10
            )
            reader.join(0.01)
        assert seen[0][0] == "tool.execution.start"
        name, event = telemetry.next()
        while name != "tool.execution.exception":
            name, event = telemetry.next()
        assert event.metadata["tool"] == "error_demo"


def test_the_client_ends_telemetry_by_closing_its_side(client):
    controls = [client.pb.TelemetryControl(toggle=client.pb.TelemetryToggle(enabled=True))]
    events = client.bridge.StreamTelemetry(iter(controls), timeout=peers.DEADLINE_S)
    assert list(events) == []
    assert events.code() == grpc.StatusCode.OK
