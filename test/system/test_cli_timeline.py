# SPDX-License-Identifier: MIT
"""Timelines: trace events as Perfetto and Chrome want them, of a pit and of a daemon."""

import json

import daemons
import peers
import pytest

import cli_tool

ADAPTER = f"{peers.HERE / 'conformance' / 'worker.py'}:Conformance"
PHASES = ["spawn", "exec", "import", "announce"]
REQUIRED = {"name", "ph", "ts", "pid", "tid"}


def read(text):
    trace = json.loads(text)
    assert trace["displayTimeUnit"] == "ms"
    for event in trace["traceEvents"]:
        assert REQUIRED <= set(event), event
        assert event["ph"] in "MXbei"
        assert event["ts"] >= 0
    return trace["traceEvents"]


def starts(events):
    """The phases of each start, by process: they fill it, one after the other."""
    found = {}
    for event in events:
        if event["ph"] == "X":
            found.setdefault(event["pid"], []).append(event)
    for start, *phases in found.values():
        assert start["name"] == "start"
        at = start["ts"]
        for phase in phases:
            assert phase["ts"] == at and phase["dur"] >= 0, (start, phases)
            at += phase["dur"]
        assert at == start["ts"] + start["dur"]
    return {pid: [event["name"] for event in phases[1:]] for pid, phases in found.items()}


def nests(events):
    """Events of one track begin and end as brackets do, and time does not run backwards.
    The names on each track, indented."""
    tracks = {}
    for event in events:
        if event["ph"] in "be":
            key = (event["pid"], event["cat"], event["id2"]["local"])
            open_ones, names, last = tracks.setdefault(key, ([], [], [0]))
            assert event["ts"] >= last[0], event
            last[0] = event["ts"]
            if event["ph"] == "b":
                names.append(" " * len(open_ones) + event["name"])
                open_ones.append(event["name"])
            else:
                assert open_ones.pop() == event["name"]
    assert not any(open_ones for open_ones, _, _ in tracks.values())
    return {key: names for key, (_, names, _) in tracks.items()}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    place = tmp_path_factory.mktemp("timeline") / "d"
    top = ["telemetry:", "  sample: 1"]
    with daemons.running(place, adapter=ADAPTER, python=peers.PYTHON, top=top, size=2) as found:
        yield found


def test_a_call_of_the_command_line_writes_its_own(tmp_path):
    out = tmp_path / "trace.json"
    done = cli_tool.snakepit("call", "-a", ADAPTER, "--timeline", out, "add", "a=1", "b=2")
    assert (done.code, done.out) == (0, "3\n"), done.err
    events = read(out.read_text())
    (pid, phases), = starts(events).items()
    assert phases == PHASES
    tracks = nests(events)
    calls = [names for (_, category, _), names in tracks.items() if category == "call"]
    unary = "snakepit.bridge.BridgeService/ExecuteTool"
    assert calls == [[
        "snakepit.call add", " snakepit.queue", " snakepit.dispatch", f"  {unary}", f"   {unary}",
        "    snakepit.tool add",
    ]]  # fmt: skip
    assert [key[0] for key in tracks if key[1] == "tool"] == [pid]


def test_a_call_of_a_host_tool_is_inside(tmp_path):
    out = tmp_path / "trace.json"
    done = cli_tool.snakepit("call", "-a", ADAPTER, "--timeline", out, "--tool", "host=cat",
                             "call_host", '{"name":"host","args":{"x":1}}')
    assert done.code == 0, done.err
    tracks = nests(read(out.read_text()))
    assert ["snakepit.callback host"] in tracks.values()


def test_many_at_once_have_tracks_of_their_own(tmp_path):
    out = tmp_path / "trace.json"
    lines = "".join(f'{{"a":{i},"b":1}}\n' for i in range(300))
    done = cli_tool.snakepit("map", "-a", ADAPTER, "--timeline", out, "--size", "3", "add", stdin=lines)
    assert done.code == 0, done.err
    events = read(out.read_text())
    assert len(starts(events)) == 3
    calls = [key for key in nests(events) if key[1] == "call"]
    assert len(calls) == len({key[2] for key in calls}) == 300


def test_a_daemon_shows_starts_and_the_last_calls(daemon, client, tmp_path):
    for i in range(5):
        client.execute("add", {"a": i, "b": 1})
    done = cli_tool.snakepit("timeline", "--connect", daemon.address)
    assert done.code == 0, done.err
    events = read(done.out)
    assert list(starts(events).values()) == [PHASES, PHASES]
    assert len([key for key in nests(events) if key[1] == "call"]) == 5
    out = tmp_path / "trace.json"
    done = cli_tool.snakepit("timeline", "--connect", daemon.address, "--count", 2, "--out", out)
    assert (done.code, done.out) == (0, "")
    events = read(out.read_text())
    assert len([key for key in nests(events) if key[1] == "call"]) == 2
    names = [event["args"]["name"] for event in events if event["ph"] == "M"]
    assert names[0] == "calls" and sorted(names[1:]) == ["worker default/0", "worker default/1"]


def test_without_a_daemon_it_is_how_the_pools_start():
    done = cli_tool.snakepit("timeline", "-a", ADAPTER, "--size", "2")
    assert done.code == 0, done.err
    events = read(done.out)
    assert list(starts(events).values()) == [PHASES, PHASES]
    assert nests(events) == {}


def test_what_is_wrong_is_told_before_anything_runs(daemon, tmp_path):
    gone = tmp_path / "not" / "there"
    done = cli_tool.snakepit("call", "-a", ADAPTER, "--timeline", gone, "crash")
    assert done.code == 2 and "No such file" in done.err
    done = cli_tool.snakepit("timeline", "--connect", daemon.address, "--count", 5000)
    assert done.code == 2 and "calls is a number from 1 to 4096" in done.err
    done = cli_tool.snakepit("timeline", "--connect", daemon.address, "--out", gone)
    assert done.code == 2 and "No such file" in done.err
    done = cli_tool.snakepit("timeline", "now")
    assert done.code == 2
