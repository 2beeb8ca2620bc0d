# SPDX-License-Identifier: MIT
"""grpcio, as Debian has it, as a client of snakepitd: what a stock client sees."""

import json
import os
import threading
from pathlib import Path

import pytest

import daemons
import peers

grpc = pytest.importorskip("grpc", reason="needs python3-grpcio")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    with daemons.running(
        tmp_path_factory.mktemp("d"), size=2, listen={"message_max": "64MiB"}
    ) as found:
        yield found


def test_the_daemon_answers_a_ping(client):
    answer = client.bridge.Ping(client.pb.PingRequest(message="hello"), timeout=10)
    assert answer.message == "pong: hello"
    assert answer.server_time.seconds > 0


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"a": [1, 2.5, None]}, "map"),
        ([1, "two"], "list"),
        ("snåke 🐍", "string"),
        (True, "boolean"),
        (4.25, "float"),
        (None, "null"),
    ],
)
def test_values_come_back_as_they_went(client, value, kind):
    response = client.bridge.ExecuteTool(
        client.request("echo", {"value": value}), timeout=10
    )
    assert response.success
    assert json.loads(response.result.value) == value
    assert response.result.type_url == f"type.googleapis.com/snakepit.{kind}"


def test_large_messages_go_both_ways(client):
    text = "x" * (20 << 20)
    assert client.execute("length", {"text": text}) == len(text)
    assert len(client.execute("text", {"size": len(text)})) == len(text)


def test_many_calls_at_once(client):
    calls = [
        client.bridge.ExecuteTool.future(
            client.request("add", {"a": i, "b": 1}), timeout=peers.DEADLINE_S
        )
        for i in range(300)
    ]
    assert [json.loads(call.result().result.value) for call in calls] == list(
        range(1, 301)
    )


def test_a_session_reaches_the_worker(client):
    where = client.execute("where", session_id="alice")
    assert where["session"] == "alice"
    assert client.execute("where", session_id="alice")["pid"] == where["pid"]


def test_a_stream_comes_in_order_and_ends_with_a_final_chunk(client):
    chunks = list(client.open_stream("numbers", {"count": 1000}))
    assert [json.loads(chunk.data) for chunk in chunks[:-1]] == list(range(1000))
    assert chunks[-1].is_final and not chunks[-1].data
    assert len({chunk.chunk_id for chunk in chunks}) == 1001


def test_an_exception_is_a_rich_status(client):
    import error_details_pb2
    import status_pb2

    error, trailers, _ = peers.failure(lambda: client.execute("fail", {"message": "no more"}))
    assert error.code() == grpc.StatusCode.UNKNOWN
    assert error.details() == "ValueError: no more"
    assert trailers["snakepit-executed"] == "yes"
    assert trailers["snakepit-reason"] == "SP-REMOTE"
    assert trailers["grpc-retry-pushback-ms"] == "-1"
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == "snakepit"
    assert info.metadata["type"] == "ValueError"
    debug = error_details_pb2.DebugInfo()
    assert status.details[1].Unpack(debug)
    assert any("probe.py" in line for line in debug.stack_entries)


def test_an_unknown_tool_is_unimplemented(client):
    error, trailers, _ = peers.failure(lambda: client.execute("ecko"))
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED
    assert trailers["snakepit-executed"] == "no"
    assert "echo" in error.details()


def test_arguments_that_are_no_json_are_an_invalid_argument(client):
    request = client.request("echo")
    request.parameters["value"].value = b"1.2.3"
    error, trailers, _ = peers.failure(lambda: client.bridge.ExecuteTool(request, timeout=10))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "parameter 'value'" in error.details()
    assert trailers["snakepit-executed"] == "no"


def test_a_death_is_aborted(client):
    error, trailers, _ = peers.failure(lambda: client.execute("crash"))
    assert error.code() == grpc.StatusCode.ABORTED
    assert trailers["snakepit-executed"] == "unknown"
    assert trailers["snakepit-reason"] == "SP-WORKER-DIED"
    assert trailers["grpc-retry-pushback-ms"] == "-1"


def test_an_unknown_pool_is_not_found(client):
    error, *_ = peers.failure(
        lambda: client.execute("echo", headers=[("snakepit-pool", "nobody")])
    )
    assert error.code() == grpc.StatusCode.NOT_FOUND


def test_a_deadline_frees_the_worker(client, tmp_path):
    hold = str(tmp_path / "hold")
    error, *_ = peers.failure(lambda: client.execute("hold", {"path": hold}, timeout=0.2))
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert client.execute("echo", {"value": 1}) == 1


def test_cancelling_closes_the_generator(client, tmp_path):
    path = tmp_path / "stream"
    stream = client.open_stream("blocking", {"path": str(path)})
    assert json.loads(next(stream).data) == "first"
    stream.cancel()
    closed = tmp_path / "stream.closed"
    peers.cli_tool.wait_until(closed.exists, "the generator to be closed")


def test_a_client_that_reads_slowly_gets_everything(client):
    stream = client.open_stream("numbers", {"count": 20000})
    seen = threading.Event()
    numbers = []

    def read():
        for chunk in stream:
            if not chunk.is_final:
                numbers.append(json.loads(chunk.data))
            if len(numbers) == 10:
                seen.wait(peers.DEADLINE_S)  # meanwhile others are served

    reader = threading.Thread(target=read)
    reader.start()
    peers.cli_tool.wait_until(lambda: len(numbers) >= 10, "the first chunks")
    assert client.execute("add", {"a": 1, "b": 2}) == 3
    seen.set()
    reader.join(peers.DEADLINE_S)
    assert numbers == list(range(20000))


def test_a_dedupe_key_runs_the_work_once(client):
    key = [("snakepit-dedupe-key", "once")]
    first = client.execute("where", headers=key)
    assert client.execute("where", headers=key) == first


def health_stub(client):
    import health_pb2
    import health_pb2_grpc

    return health_pb2, health_pb2_grpc.HealthStub(client.channel)


@pytest.mark.parametrize(
    "service", ["", "snakepit.bridge.BridgeService", "live", "ready", "startup"]
)
def test_health_of_a_ready_daemon(client, service):
    pb, health = health_stub(client)
    # A worker that another test ended may still be on its way back.
    peers.cli_tool.wait_until(
        lambda: health.Check(pb.HealthCheckRequest(service=service), timeout=10).status
        == pb.HealthCheckResponse.SERVING,
        "the daemon to serve",
    )


def test_health_of_an_unknown_service(client):
    pb, health = health_stub(client)
    error, *_ = peers.failure(lambda: health.Check(pb.HealthCheckRequest(service="x"), timeout=10))
    assert error.code() == grpc.StatusCode.NOT_FOUND
    watch = health.Watch(pb.HealthCheckRequest(service="x"), timeout=peers.DEADLINE_S)
    assert next(watch).status == pb.HealthCheckResponse.SERVICE_UNKNOWN
    watch.cancel()


def test_a_stopping_daemon_is_heard_to_the_end(stubs, tmp_path):
    hold = tmp_path / "hold"
    with daemons.running(tmp_path) as daemon, peers.connected(daemon.address) as client:
        pb, health = health_stub(client)
        watch = health.Watch(pb.HealthCheckRequest(), timeout=peers.DEADLINE_S)
        assert next(watch).status == pb.HealthCheckResponse.SERVING
        call = client.bridge.ExecuteTool.future(
            client.request("hold", {"path": str(hold)}), timeout=peers.DEADLINE_S
        )
        peers.cli_tool.wait_until(Path(f"{hold}.held").exists, "the call to run")
        daemon.terminate()
        daemon.await_event("daemon.ending")
        Path(f"{hold}.go").touch()
        assert daemon.wait() == 0
        # It has left, and what it said is still read to the end.
        assert call.result().success
        assert next(watch).status == pb.HealthCheckResponse.NOT_SERVING
        error, *_ = peers.failure(lambda: next(watch))
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert error.details() == "the daemon has shut down"


def placed(client, tool, arguments=None, affinity=None):
    """The trailer that says which worker a call of the session "home" went to."""
    metadata = [("snakepit-affinity", affinity)] if affinity else None
    answer, call = client.bridge.ExecuteTool.with_call(
        client.request(tool, arguments, session_id="home"),
        timeout=peers.DEADLINE_S,
        metadata=metadata,
    )
    assert answer.success
    return dict(call.trailing_metadata() or ()).get("snakepit-placed")


def test_an_answer_says_where_its_session_was_placed(client):
    assert placed(client, "where") == "new"
    assert placed(client, "where") == "same"
    assert placed(client, "where", affinity="strict_queue") == "same"
    assert placed(client, "where", affinity="none") is None


def test_an_affinity_that_is_none_is_refused(client):
    error, *_ = peers.failure(lambda: placed(client, "where", affinity="glue"))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT


# ---- sessions, as the original's host has them ----


def begin(client, session, **metadata):
    request = client.pb.InitializeSessionRequest(session_id=session, metadata=metadata)
    return client.bridge.InitializeSession(request, timeout=peers.DEADLINE_S)


def get_session(client, session):
    request = client.pb.GetSessionRequest(session_id=session)
    return client.bridge.GetSession(request, timeout=peers.DEADLINE_S)


def end_session(client, session):
    request = client.pb.CleanupSessionRequest(session_id=session)
    return client.bridge.CleanupSession(request, timeout=peers.DEADLINE_S)


def heartbeat(client, session):
    request = client.pb.HeartbeatRequest(session_id=session)
    return client.bridge.Heartbeat(request, timeout=peers.DEADLINE_S)


def test_a_session_begins_is_found_and_ends(client):
    assert begin(client, "käse / 1", user="Ann", quote='a "b" \\ c').success
    found = get_session(client, "käse / 1")
    assert found.session_id == "käse / 1"
    assert dict(found.metadata) == {"user": "Ann", "quote": 'a "b" \\ c'}
    assert found.created_at.seconds > 1_700_000_000
    assert heartbeat(client, "käse / 1").session_valid
    ended = end_session(client, "käse / 1")
    assert ended.success
    assert ended.resources_cleaned == 1
    beat = heartbeat(client, "käse / 1")
    assert not beat.session_valid
    assert beat.server_time.seconds > 0


def test_beginning_a_session_again_changes_nothing(client):
    assert begin(client, "again", user="Ann").success
    assert begin(client, "again", user="Bob").success
    assert dict(get_session(client, "again").metadata) == {"user": "Ann"}
    assert end_session(client, "again").success


def test_ending_a_session_that_is_not_there_is_success(client):
    ended = end_session(client, "nobody")
    assert ended.success
    assert ended.resources_cleaned == 0


def test_a_session_that_is_not_there_is_not_found(client):
    error, trailers, _ = peers.failure(lambda: get_session(client, "nobody"))
    assert error.code() == grpc.StatusCode.NOT_FOUND
    assert '"nobody"' in error.details()
    assert trailers["snakepit-reason"] == "SP-NOT-FOUND"


@pytest.mark.parametrize("session", ["", "x" * 256])
def test_a_bad_id_is_refused(client, session):
    error, *_ = peers.failure(lambda: begin(client, session))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "session id" in error.details()


def test_many_clients_change_sessions_at_once(stubs, daemon):
    def live(number):
        with peers.connected(daemon.address) as mine:
            for i in range(25):
                assert begin(mine, f"many {number} {i}").success
                assert heartbeat(mine, f"many {number} {i}").session_valid
                assert end_session(mine, f"many {number} {i}").resources_cleaned == 1
            done.append(number)

    done = []
    threads = [threading.Thread(target=live, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == list(range(8))


def test_a_stock_worker_begins_the_session_while_its_call_is_under_way(stubs, tmp_path):
    socket = tmp_path / "s" / "pit.sock"
    command = [
        peers.PYTHON, peers.HERE / "workers" / "python" / "asks_back.py", stubs,
        f"unix:{socket}", "{address}",
    ]  # fmt: skip
    config = tmp_path / "snakepit.yaml"
    config.write_text(
        f"instance: asks-back-{os.getpid()}\n"
        f"listen: {{socket: {socket}}}\n"
        "pools:\n- runtime: grpc\n  size: 1\n"
        f"  command: {json.dumps([str(word) for word in command])}\n",
        encoding="utf-8",
    )
    daemon = daemons.Daemon(tmp_path, config)
    try:
        daemon.await_ready()
        with peers.connected(daemon.address) as client:
            answer = client.execute("any", session_id="called")
            assert answer == {"begun": True, "valid": True}
            assert get_session(client, "called").session_id == "called"
    finally:
        daemon.end()
