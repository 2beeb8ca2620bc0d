# SPDX-License-Identifier: MIT
"""The profile `process` with max_concurrency: asynchronous calls that overlap on one event
loop of one worker. That they do is shown by calls that wait for each other."""

import json
import os
import time
from pathlib import Path

import pytest

import peers
import states

ADAPTER = f"{Path(__file__).with_name('overlapping_adapter.py')}:Overlapping"
AT_ONCE = 1000


def double(x):
    return 2 * x


def write_config(place, adapter=ADAPTER, at_once=AT_ONCE):
    config = states.write_config(place, overlapping=(adapter, 1))
    with config.open("a", encoding="utf-8") as file:
        file.write(f"    max_concurrency: {at_once}\n")
    return config


@pytest.fixture(scope="module")
def pit(tmp_path_factory):
    config = write_config(tmp_path_factory.mktemp("overlap"))
    with states.ToolPit(config) as opened:
        opened.tool(double, flags=states.ANY_THREAD)
        yield opened


def until(pit, text):
    """Wait for a note of the worker."""
    ends = time.monotonic() + peers.DEADLINE_S
    while text not in pit.execute("noted"):
        assert time.monotonic() < ends, (text, pit.execute("noted"))


def ended(pit, call):
    """What a call gave, or the name of its failure."""
    try:
        return pit.result(call)
    except states.Refused as refused:
        return str(refused)


def test_a_thousand_calls_are_in_one_worker_at_the_same_time(pit):
    calls = [
        pit.begin("meet", {"name": "all", "parties": AT_ONCE}, f"s{n}")
        for n in range(AT_ONCE)
    ]
    assert [pit.result(call) for call in calls] == [f"s{n}" for n in range(AT_ONCE)]


def test_what_initialize_opened_on_the_loop_is_there(pit):
    assert pit.execute("is_the_same_loop") is True


def test_a_cancelled_call_ends_its_task_and_no_other(pit):
    stays = pit.begin("meet", {"name": "two", "parties": 2})
    gone = pit.begin("sleep_long", {"name": "gone"})
    until(pit, "gone begins")
    pit.cancel(gone)
    until(pit, "gone is cancelled")
    with pytest.raises(states.Refused, match="SP-CANCELLED"):
        pit.result(gone)
    assert pit.execute("meet", {"name": "two", "parties": 2}) == "s"
    assert pit.result(stays) == "s"


def test_a_deadline_ends_the_task(pit):
    with pytest.raises(states.Refused, match="SP-TIMEOUT"):
        pit.execute("sleep_long", {"name": "late"}, timeout_ms=200)
    until(pit, "late is cancelled")


def test_an_exception_is_the_calls_failure(pit):
    with pytest.raises(states.Refused, match="SP-REMOTE"):
        pit.execute("fails")


def test_the_trace_begins_in_the_tool(tmp_path):
    error = peers.Host(write_config(tmp_path)).fail("fails")
    assert error["remote_type"] == "KeyError"
    assert "overlapping_adapter.py" in error["remote_trace"]
    assert "_overlap.py" not in error["remote_trace"]


def test_tools_that_are_no_coroutines_work_beside_them(pit):
    sleeper = pit.begin("meet", {"name": "beside", "parties": 2})
    assert pit.execute("plain", {"value": 4}) == [4, 8]
    assert pit.execute("own_loop", {"value": 5}) == 5
    assert list(pit.chunks("count_plainly", {"to": 2000})) == list(range(2000))
    pit.execute("meet", {"name": "beside", "parties": 2})
    assert pit.result(sleeper) == "s"


def test_tasks_ask_their_host_side_by_side(pit):
    calls = [
        pit.begin("ask", {"name": f"v{n}", "count": 20}, f"asks{n % 4}") for n in range(16)
    ]
    assert [pit.result(call) for call in calls] == [19] * 16
    assert pit.variable("asks1", "v1")["value"] == 19


def test_a_failure_that_nobody_saw_fails_the_call(pit):
    with pytest.raises(states.Refused, match="SP-REMOTE"):
        pit.execute("ask_wrong")


def test_threads_of_a_task_are_in_its_call(pit):
    session, thread = pit.execute("elsewhere", session="mine")
    assert session == "mine" and thread != "MainThread"


def test_streams_overlap_and_wait_for_their_readers(pit):
    streams = [pit.chunks("count", {"to": 400, "width": 500}) for _ in range(8)]
    received = [[] for _ in streams]
    for _ in range(400):
        for stream, items in zip(streams, received):
            items.append(next(stream)["i"])
    for stream, items in zip(streams, received):
        assert list(stream) == [] and items == list(range(400))


def test_a_coroutine_may_give_a_stream_and_a_stream_a_value(pit):
    assert [c["i"] for c in pit.chunks("later", {"to": 3})] == [0, 1, 2]
    assert list(pit.chunks("sleep", {"seconds": 0})) == [0]
    with pytest.raises(states.Refused, match="SP-BAD-ARGS"):
        pit.execute("later", {"to": 3})  # a stream, called as none


def test_a_stream_that_nobody_wants_is_closed(pit):
    stream = pit.chunks("stay", {"name": "endless"})
    assert next(stream) == "endless"
    stream.close()
    until(pit, "endless is closed")


def test_cancellations_at_any_moment_leave_the_others_alone(pit):
    for n in range(200):
        doomed = pit.begin("sleep", {"seconds": 0})
        kept = [pit.begin("sleep", {"seconds": 0}) for _ in range(3)]
        pit.cancel(doomed)
        assert [pit.result(call) for call in kept] == [0] * 3
        try:
            assert pit.result(doomed) == 0
        except states.Refused as ended:
            assert str(ended) == "SP-CANCELLED"


def capacities(config):
    done = peers.run(peers.CLI, "status", "-o", "json", "--config", config)
    assert done.returncode == 0, done.stderr
    pool = json.loads(done.stdout)["pools"][0]
    assert pool["profile"] == "process"
    return [w["capacity"] for w in pool["worker_list"]]


def test_status_shows_the_capacity(tmp_path):
    assert capacities(write_config(tmp_path)) == [AT_ONCE]


def test_an_adapter_without_coroutines_runs_one_call_at_a_time(tmp_path):
    (tmp_path / "plain.py").write_text("def echo(value):\n    return value\n")
    assert capacities(write_config(tmp_path, tmp_path / "plain.py")) == [1]


def test_a_worker_with_open_tasks_ends_with_its_pit(tmp_path):
    with states.ToolPit(write_config(tmp_path)) as pit:
        call = pit.begin("sleep_long", {"name": "left"})
        until(pit, "left begins")
    del call


def test_a_call_cancelled_before_its_task_began_gives_its_place_back(tmp_path):
    trace = tmp_path / "trace"
    trace.mkdir()
    config = write_config(tmp_path, at_once=3)
    with peers.Notes(tmp_path / "notes") as notes, states.ToolPit(config) as pit:
        worker = pit.execute("leave_trace", {"folder": str(trace)})
        here = {"here": str(notes.path)}
        for _ in range(3):
            holders = [pit.begin("hold_up", here)]
            notes.wait_for("held up")
            # The worker hears of these in this order. The task is made before the second
            # holds up the loop, and cancelled before that is.
            doomed = pit.begin("sleep", {"seconds": 0})
            holders.append(pit.begin("hold_up", here))
            pit.cancel(holders[0])
            notes.wait_for("held up")
            pit.cancel(doomed)
            pit.cancel(holders[1])
            assert [ended(pit, call) for call in [*holders, doomed]] == ["SP-CANCELLED"] * 3
            assert pit.execute("sleep", {"seconds": 0}, timeout_ms=30000) == 0
    assert os.listdir(trace) == [str(worker)]  # it ended by itself, nobody killed it


def test_a_task_factory_of_the_tools_is_not_for_calls(tmp_path):
    with states.ToolPit(write_config(tmp_path)) as pit:
        pit.execute("make_eager")
        assert pit.execute("sleep", {"seconds": 0}) == 0


def test_an_answer_does_not_wait_for_a_coroutine_that_blocks(pit, tmp_path):
    held = tmp_path / "held"
    quick = pit.begin("pass_gate", {"name": "gate"})
    until(pit, "gate has 1")
    slow = pit.begin("pass_gate", {"name": "gate", "hold": str(held)})
    until(pit, "gate has 2")
    opener = pit.begin("open_gate", {"name": "gate"})
    assert pit.result(quick) is True
    held.touch()
    assert pit.result(slow) is True  # else it ran into its deadline first
    pit.result(opener)


def test_the_child_of_a_fork_ends_without_a_clean_up(tmp_path):
    trace = tmp_path / "trace"
    trace.mkdir()
    with states.ToolPit(write_config(tmp_path)) as pit:
        worker = pit.execute("leave_trace", {"folder": str(trace)})
        assert pit.execute("fork") == 0
        assert os.listdir(trace) == []
    assert os.listdir(trace) == [str(worker)]
