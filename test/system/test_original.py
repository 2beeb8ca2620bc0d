# SPDX-License-Identifier: MIT
"""Workers of the original snakepit under our host, of the two versions that matter: a
worker of our own plays them (workers/original), over grpcio, with everything they ask of
their host while a call runs."""

import json
import os
import socket

import pytest

import cli_tool
import daemons
import peers

grpc = pytest.importorskip("grpc", reason="needs python3-grpcio")

SCRIPT = peers.HERE / "workers" / "original" / "grpc_server.py"
COMMAND = [peers.PYTHON, str(SCRIPT), "--adapter", "original_adapter.OriginalAdapter"]


@pytest.fixture(scope="module", params=["0.6", "0.13"])
def version(request):
    return request.param


def settings(stubs, version, **more):
    environment = {"ORIGINAL_VERSION": version, "ORIGINAL_STUBS": str(stubs),
                   "GRPC_VERBOSITY": "ERROR"}
    environment.update(more.pop("variables", {}))
    return {"runtime": "grpc_server", "command": COMMAND,
            "env": {"set": environment}, **more}


@pytest.fixture(scope="module")
def daemon(stubs, version, tmp_path_factory):
    with daemons.running(
        tmp_path_factory.mktemp("original"), top=["log: {level: debug}"],
        **settings(stubs, version)
    ) as found:
        yield found


def test_a_call_comes_back(client):
    assert client.execute("add", {"a": 2, "b": 3}) == 5.0


def test_it_is_started_as_its_own_host_does(client):
    where = client.execute("where")
    assert where["cwd"] == str(SCRIPT.parent)
    flags = where["argv"]
    assert flags[flags.index("--port") + 1] == "0"
    assert flags[flags.index("--elixir-address") + 1].startswith("unix:/")
    assert flags[flags.index("--snakepit-run-id") + 1]
    assert "--max-workers" not in flags


@pytest.mark.parametrize(
    ("value", "old", "new"),
    [
        (5, 5.0, 5.0),
        (2.5, 2.5, 2.5),
        (True, 1.0, True),
        (None, "None", "None"),
        ("snåke 🐍", "snåke 🐍", "snåke 🐍"),
        ([1, "a", None], [1, "a", None], [1, "a", None]),
        ({"a": {"b": 1}}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    ],
)
def test_values_as_it_writes_them(client, version, value, old, new):
    assert client.execute("echo", {"value": value}) == (old if version == "0.6" else new)


def test_the_session_of_the_caller_reaches_it_and_is_begun(client):
    """InitializeSession and RegisterTools come while the call runs."""
    for _ in range(2):  # and again: the same is said twice
        assert client.execute("where", session_id="s-7")["session"] == "s-7"
    found = client.bridge.GetSession(client.pb.GetSessionRequest(session_id="s-7"), timeout=10)
    assert found.session_id == "s-7"


def test_a_failure_as_it_says_it(client, version):
    error, trailers, info = peers.failure(lambda: client.execute("fail"))
    assert "cannot do fail" in error.details()
    assert trailers["snakepit-reason"] == "SP-REMOTE"
    assert trailers["snakepit-executed"] == "yes"
    if version == "0.13":
        assert info["type"] == "ValueError"
        assert "original_adapter.py" in info["trace"]


@pytest.mark.parametrize("n", [0, 1, 500])
def test_a_stream_without_its_empty_end(client, n):
    chunks = client.open_stream("stream_numbers", {"n": n})
    found = [json.loads(chunk.data) for chunk in chunks if chunk.data]
    assert found == list(range(1, n + 1))


def test_a_stream_that_fails(client, version):
    stream = client.open_stream("stream_fail")
    found = []
    error, _, info = peers.failure(lambda: found.extend(c.data for c in stream))
    assert [json.loads(data) for data in found] == [1]
    assert "later" in error.details()
    if version == "0.13":
        assert info["type"] == "KeyError"


def test_many_calls_and_heartbeats_beside_them(client):
    calls = [
        client.bridge.ExecuteTool.future(
            client.request("add", {"a": i, "b": 1}, session_id=f"s-{i % 5}"), timeout=60)
        for i in range(100)
    ]
    assert [json.loads(c.result().result.value) for c in calls] == [
        float(i + 1) for i in range(100)
    ]


def test_what_it_reports_is_an_event(daemon, client, version):
    """By the telemetry stream, which the older one does not have."""
    client.execute("add", {"a": 2, "b": 3}, session_id="reported")
    if version == "0.13":
        daemon.await_event("worker.telemetry")
        assert "tool.called duration=1.5" in daemon.log()
    else:
        assert "worker.telemetry" not in daemon.events()


def test_it_calls_a_tool_of_its_host(stubs, version, tmp_path):
    """With a text in the form in which only it writes texts."""
    config = daemons.write_config(tmp_path / "own", **settings(stubs, version))
    done = cli_tool.snakepit(
        "--config", config, "call", "--tool", "upper=tr a-z A-Z", "shout", "text=quiet")
    assert done.code == 0, done.err
    assert done.json == {"TEXT": "QUIET", "N": 2}


def test_threads_are_told_to_the_worker(stubs, version, tmp_path):
    with daemons.running(tmp_path, **settings(stubs, version, profile="thread", threads=4,
                                              thread_checks="warn")) as daemon:
        with grpc.insecure_channel(daemon.address) as channel:
            flags = peers.Client(channel).execute("where")["argv"]
    assert flags[flags.index("--max-workers") + 1] == "4"
    assert "--thread-safety-check" in flags


def test_a_port_of_somebody_else_is_not_talked_to(stubs, version, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        port = squatter.getsockname()[1]
        config = daemons.write_config(
            tmp_path / "own",
            **settings(stubs, version, variables={"ORIGINAL_TELLS": str(port)}))
        done = cli_tool.snakepit("--config", config, "call", "add", "a=1", "b=2")
        assert done.code != 0
        assert f"port {port}" in done.err
        squatter.settimeout(0)
        with pytest.raises(BlockingIOError):
            squatter.accept()  # nobody came


def test_a_fifo_at_the_ready_path_holds_nobody_up(stubs, tmp_path):
    config = daemons.write_config(
        tmp_path / "own", **settings(stubs, "0.13", variables={"ORIGINAL_FIFO": "1"}))
    done = cli_tool.snakepit("--config", config, "call", "add", "a=1", "b=2")
    assert (done.code, done.out) == (0, "3.0\n"), done.err


def test_a_worker_that_ends_at_once_says_why(stubs, version, tmp_path):
    with_error = settings(stubs, version)
    with_error["command"] = [*COMMAND[:-1], "no_such.Adapter"]
    config = daemons.write_config(tmp_path / "own", **with_error)
    done = cli_tool.snakepit("--config", config, "call", "add", "a=1", "b=2")
    assert done.code != 0
    assert "no_such" in done.err


def test_nothing_is_left_behind(stubs, version, tmp_path):
    """No process (cli_tool looks), no socket, no folder."""
    place = tmp_path / "runtime"
    place.mkdir()
    config = daemons.write_config(tmp_path / "own", **settings(stubs, version))
    done = cli_tool.snakepit("--config", config, "call", "add", "a=1", "b=2",
                             env={"XDG_RUNTIME_DIR": str(place)})
    assert done.code == 0, done.err
    assert [name for name in os.listdir(place) if name.startswith("snakepit-")] == []
