# SPDX-License-Identifier: MIT
"""snakepit events: what a daemon's pit has gone through, once and as it goes on."""

import contextlib
import json
import re
import select
import signal
import time

import daemons
import peers
import pytest
from cli_tool import Started, snakepit

grpc = pytest.importorskip("grpc", reason="needs python3-grpcio")

MORE = [{"name": "other", "adapter": "showcase", "size": 1}]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    with daemons.running(tmp_path_factory.mktemp("events"), more=MORE) as running:
        yield running


def events(daemon, *args):
    done = snakepit("events", "--connect", daemon.address, "-o", "json", *args)
    assert (done.code, done.err) == (0, "")
    return [json.loads(line) for line in done.lines]


def test_what_happened_before_is_told_in_order(daemon):
    told = events(daemon)
    assert [e["number"] for e in told] == sorted(e["number"] for e in told)
    names = [e["event"] for e in told]
    assert names.count("worker.ready") == 2 and names.count("pool.ready") == 2
    ready = next(e for e in told if e["event"] == "worker.ready")
    assert ready["metadata"]["pool"] in ("default", "other")
    assert ready["measurements"]["initialization_time"] > 0


def test_a_choice_of_them(daemon):
    assert {e["event"] for e in events(daemon, "--kind", "worker.ready, pool.")} >= {
        "worker.ready", "pool.ready"}
    assert {e["event"] for e in events(daemon, "--kind", "worker.ready")} == {"worker.ready"}
    [one] = events(daemon, "--kind", "worker.ready", "-p", "other")
    assert one["metadata"]["pool"] == "other"
    assert events(daemon, "--since", "1h", "--kind", "pool.ready") == events(
        daemon, "--kind", "pool.ready")
    assert events(daemon, "--since", "1ms", "--kind", "pool.ready") == []


def test_as_lines_for_people(daemon):
    done = snakepit("events", "--connect", daemon.address, "--kind", "worker.ready")
    assert done.code == 0 and len(done.lines) == 2
    time, name, *rest = done.lines[0].split(" ")
    assert time.endswith("Z") and name == "worker.ready"
    assert any(word.startswith("pool=") for word in rest)


@pytest.mark.parametrize("kind, code, words", [
    ("no.such", 2, "no.such"),
    ("call.dispatched", 2, "told too often to be kept"),
])
def test_what_cannot_be_shown(daemon, kind, code, words):
    done = snakepit("events", "--connect", daemon.address, "--kind", kind)
    assert done.out == "" and done.code != 0
    assert words in done.err


def test_all_there_are(daemon):
    rows = json.loads(snakepit("events", "--list", "-o", "json").out)
    kept = {row["event"]: row["kept"] for row in rows}
    assert len(kept) > 100 and kept["worker.died"] and not kept["call.dispatched"]
    assert all(row["meaning"] for row in rows)
    assert snakepit("events", "--list").lines[0].split() == ["EVENT", "KEPT", "MEANING"]


def follow(daemon, *args):
    """A follower of the daemon's events, as JSON."""
    return Started("events", "-f", "--connect", daemon.address, "-o", "json", *args)


def lines_of(follower):
    return (json.loads(line) for line in iter(follower.line, ""))


def until_heard(daemon, follower, cause):
    """Cause something again and again until the follower has shown something."""
    end = time.monotonic() + daemons.DEADLINE_S
    while not select.select([follower.process.stdout], [], [], 0.05)[0]:
        assert time.monotonic() < end and follower.process.poll() is None
        cause()


def test_what_goes_on_is_followed(daemon):
    with follow(daemon, "--kind", "session.") as follower:
        def cause():
            snakepit("session", "create", "followed", "--connect", daemon.address)
            snakepit("session", "end", "followed", "--connect", daemon.address)
        until_heard(daemon, follower, cause)
        seen = next(lines_of(follower))
        assert seen["event"].startswith("session.")
        assert seen["number"] > 0 and seen["time_unix_ms"] > 0


def test_what_was_kept_comes_first_and_once(daemon):
    ready = events(daemon, "--kind", "worker.ready")
    with follow(daemon, "--kind", "worker.ready,session.") as follower:
        lines = lines_of(follower)
        before = events(daemon, "--kind", "worker.ready,session.")
        assert [next(lines) for _ in before] == before
        assert [one for one in before if one["event"] == "worker.ready"] == ready
        snakepit("session", "create", "later", "--connect", daemon.address)
        snakepit("session", "end", "later", "--connect", daemon.address)
        after = next(lines)
        assert after["number"] > before[-1]["number"]
        assert after["metadata"]["session"] == "later"


@pytest.mark.parametrize("kind", ["request.", "request.executed,worker.ready", ""])
def test_calls_are_followed_behind_what_was_kept(daemon, client, kind):
    before = events(daemon, "--kind", kind)
    with follow(daemon, "--kind", kind) as follower:
        lines = lines_of(follower)
        assert [next(lines)["number"] for _ in before] == [one["number"] for one in before]
        until_heard(daemon, follower, lambda: client.execute("add", {"a": 0}))
        assert next(one for one in lines if one["event"] == "request.executed")


def test_calls_are_followed_as_they_come(daemon, client):
    with follow(daemon, "--kind", "request.executed", "-p", "default") as follower:
        until_heard(daemon, follower, lambda: client.execute("add", {"a": 0}))
        lines = lines_of(follower)
        for i in range(300):
            with pytest.raises(grpc.RpcError):
                client.execute("fail", {"message": str(i)})
        for _ in range(300):
            told = next(one for one in lines if one["metadata"]["command"] == "fail")
            assert told["event"] == "request.executed"
            assert told["metadata"]["pool"] == "default"
            assert told["metadata"]["success"] == "false"
            assert told["measurements"]["duration_us"] > 0


def test_a_follower_that_does_not_read_is_told_what_it_missed(daemon, client):
    with follow(daemon, "--kind", "request.executed", "-p", "default") as follower:
        until_heard(daemon, follower, lambda: client.execute("add", {"a": 0}))
        follower.process.send_signal(signal.SIGSTOP)
        before = dropped_events(daemon)
        calls = 0
        end = time.monotonic() + daemons.DEADLINE_S
        while dropped_events(daemon) == before:
            assert time.monotonic() < end
            for call in [client.bridge.ExecuteTool.future(client.request("add", {"a": 1}))
                         for _ in range(200)]:
                call.result()
            calls += 200
        follower.process.send_signal(signal.SIGCONT)
        lines, told, lost = lines_of(follower), 0, 0
        client.execute("echo")  # the last one
        while (one := next(lines)).get("metadata", {}).get("command") != "echo":
            told += "event" in one
            lost += one.get("dropped", 0)
        assert lost > 0 and told + lost >= calls
        assert lost <= dropped_events(daemon) - before


def dropped_events(daemon):
    out = snakepit("metrics", "--connect", daemon.address).out
    return int(re.search(r"^snakepit_events_dropped_total (\d+)$", out, re.M)[1])


def test_watchers_that_go_away_leave_nothing(tmp_path, stubs):
    with daemons.running(tmp_path) as daemon, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(peers.connected(daemon.address)) for _ in range(64)]
        # As many as may be; and when they have gone there is room for as many others.
        for _ in range(2):
            streams = []
            end = time.monotonic() + daemons.DEADLINE_S
            while len(streams) < len(clients):
                stream = watch_events(clients[len(streams)])
                try:
                    assert json.loads(next(stream).events.splitlines()[0])["number"] > 0
                    streams.append(stream)
                except grpc.RpcError as error:  # the others are still about to go
                    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
                    assert time.monotonic() < end
            refused = snakepit("events", "-f", "--connect", daemon.address)
            assert refused.code == 5 and "64 handlers" in refused.err
            for stream in streams:
                stream.cancel()


def test_a_pattern_that_fits_nothing_is_refused(client, daemon):
    with pytest.raises(grpc.RpcError) as refused:
        next(watch_events(client, kinds="worker.dead"))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "worker.died" in refused.value.details()
    done = snakepit("events", "-f", "--kind", "worker.dead", "--connect", daemon.address)
    assert done.code == 2 and "worker.died" in done.err


def watch_events(client, **wish):
    from snakepit import control_pb2, control_pb2_grpc

    return control_pb2_grpc.ControlStub(client.channel).WatchEvents(
        control_pb2.WatchEventsRequest(**wish))


def test_the_end_of_the_daemon_ends_it(tmp_path):
    with daemons.running(tmp_path) as daemon, follow(daemon, "--kind", "worker.ready") as follower:
        next(lines_of(follower))
        daemon.terminate()
        assert daemon.wait() == 0
        done = follower.end()
        assert done.code == 3 and done.out == "" and "daemon" in done.err
