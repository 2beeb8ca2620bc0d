# SPDX-License-Identifier: MIT
"""The profile `thread`: one worker whose threads run calls at the same time, on Debian's
interpreter, which has a lock, and on a free-threaded one. That calls overlap is shown by
calls that wait for each other."""

import json
import subprocess
import time
from pathlib import Path

import pytest

import peers
import states

ADAPTER = Path(__file__).with_name("threaded_adapter.py")
THREADS = 4


def free_threaded():
    """The free-threaded interpreter, and the bridge for it in the build's folder."""
    made = subprocess.run(
        [peers.ROOT / "tools" / "free_threaded", peers.BUILD],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    if made.returncode == 77:
        pytest.skip(made.stderr.strip().splitlines()[-1])
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


@pytest.fixture(scope="module", params=["locked", "free"])
def python(request):
    if request.param == "locked":
        return peers.PYTHON
    if "LD_PRELOAD" in peers.ENVIRONMENT:
        pytest.skip("the extension for this interpreter is built without the sanitizer")
    return free_threaded()


def double(x):
    return 2 * x


def write_config(place, python, adapter=ADAPTER, threads=THREADS):
    config = states.write_config(place, threaded=(adapter, 1))
    lines = [
        line for line in config.read_text().splitlines() if "python:" not in line
    ]
    lines += [f"    python: {python}", "    profile: thread", f"    threads: {threads}"]
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return config


@pytest.fixture(scope="module")
def pit(tmp_path_factory, python):
    config = write_config(tmp_path_factory.mktemp("threads"), python)
    with states.ToolPit(config) as opened:
        opened.tool(double, flags=states.ANY_THREAD)
        yield opened


def until(pit, text):
    """Wait for a note of the worker."""
    ends = time.monotonic() + peers.DEADLINE_S
    while text not in pit.execute("notes"):
        assert time.monotonic() < ends, (text, pit.execute("notes"))


def test_the_interpreter_is_what_it_says(pit, python):
    assert pit.execute("is_locked") == (python == peers.PYTHON)


def test_calls_run_at_the_same_time_each_on_its_thread_and_in_its_session(pit):
    calls = [
        pit.begin("meet", {"name": "all", "parties": THREADS}, f"s{n}")
        for n in range(THREADS)
    ]
    met = [pit.result(call) for call in calls]
    assert sorted(thread for thread, _ in met) == [f"snakepit-{n}" for n in range(THREADS)]
    assert [session for _, session in met] == [f"s{n}" for n in range(THREADS)]


def test_the_right_thread_is_interrupted(pit):
    gone = pit.begin("spin", {"name": "gone"})
    stays = pit.begin("spin", {"name": "stays"})
    until(pit, "gone begins")
    until(pit, "stays begins")
    pit.cancel(gone)
    until(pit, "gone is cancelled")
    assert "stays is cancelled" not in pit.execute("notes")
    pit.execute("open_gate", {"name": "stays"})
    assert pit.result(stays) == "gate"
    with pytest.raises(states.Refused, match="SP-CANCELLED"):
        pit.result(gone)


def test_a_deadline_ends_what_computes(pit):
    call = pit.begin("spin", {"name": "late"}, timeout_ms=300)
    with pytest.raises(states.Refused, match="SP-TIMEOUT"):
        pit.result(call)
    until(pit, "late is cancelled")


def test_cancellations_strike_no_later_call(pit):
    """Short calls behind each other on the same threads, some of them cancelled at any
    moment: every other one ends well."""
    for n in range(200):
        doomed = pit.begin("echo", {"value": -n})
        kept = [pit.begin("echo", {"value": n}) for _ in range(3)]
        pit.cancel(doomed)
        assert [pit.result(call) for call in kept] == [n] * 3
        try:
            assert pit.result(doomed) == -n
        except states.Refused as ended:
            assert str(ended) == "SP-CANCELLED"


def test_every_thread_asks_its_host(pit):
    calls = [
        pit.begin("ask", {"name": f"v{n}", "count": 50}, f"asks{n % 2}")
        for n in range(2 * THREADS)
    ]
    assert [pit.result(call) for call in calls] == [49] * (2 * THREADS)
    assert pit.variable("asks0", "v0")["value"] == 49


def test_streams_run_beside_each_other(pit):
    streams = [pit.chunks("numbers", {"to": 500, "width": 200}) for _ in range(THREADS)]
    received = [[] for _ in streams]
    for _ in range(500):
        for stream, items in zip(streams, received):
            items.append(next(stream)["i"])
    for stream, items in zip(streams, received):
        assert list(stream) == []
        assert items == list(range(500))


def test_a_stream_that_nobody_wants_is_closed(pit):
    stream = pit.chunks("stay", {"name": "endless"})
    assert next(stream) == "endless"
    stream.close()
    until(pit, "endless is closed")


def test_coroutines_of_all_threads_meet_on_one_loop(pit):
    calls = [
        pit.begin("meet_on_the_loop", {"name": "loop", "parties": THREADS}, f"s{n}")
        for n in range(THREADS)
    ]
    assert [pit.result(call) for call in calls] == [
        ["snakepit-loop", f"s{n}"] for n in range(THREADS)
    ]


def test_a_coroutine_is_cancelled_and_others_are_not(pit):
    gone = pit.begin("sleep_long", {"name": "sleeper"})
    until(pit, "sleeper begins")
    pit.cancel(gone)
    until(pit, "sleeper is cancelled")
    assert [*pit.chunks("count", {"to": 10})] == list(range(10))


def test_a_thread_is_free_again_though_its_coroutine_blocks_the_loop(pit):
    call = pit.begin("block", {"name": "blocks"}, timeout_ms=300)
    until(pit, "blocks begins")
    with pytest.raises(states.Refused, match="SP-TIMEOUT"):
        pit.result(call)
    # All four threads meet: none still waits for the coroutine.
    calls = [pit.begin("meet", {"name": "free", "parties": THREADS}) for _ in range(THREADS)]
    for one in calls:
        pit.result(one)
    pit.execute("open_gate", {"name": "blocks"})


def test_a_tools_own_loop_and_threads_are_in_its_call(pit):
    assert pit.execute("in_a_pool_of_its_own", session="mine") == "mine"


def test_sixteen_threads_lose_no_call_and_keep_nothing(tmp_path, python):
    """A short one of `make profiles`."""
    adapter = peers.ROOT / "test" / "bench" / "profiles_adapter.py"
    with states.StatePit(write_config(tmp_path, python, adapter, 16)) as pit:
        objects = []
        for share in (2000, 6000):
            for start in range(0, share, 500):
                calls = [pit.begin("echo", {"n": start + n}) for n in range(500)]
                assert [pit.result(call)[0] for call in calls] == list(
                    range(start, start + 500)
                )
            objects.append(pit.execute("objects"))
        assert objects[1] - objects[0] < 3000  # half an object for each call


def test_status_shows_profile_and_capacity(tmp_path, python):
    config = write_config(tmp_path, python)
    done = peers.run(peers.CLI, "status", "-o", "json", "--config", config)
    assert done.returncode == 0, done.stderr
    pool = json.loads(done.stdout)["pools"][0]
    assert (pool["profile"], pool["capacity"]) == ("thread", THREADS)
    assert [w["capacity"] for w in pool["worker_list"]] == [THREADS]


def test_pools_of_both_profiles_stand_side_by_side(tmp_path, python):
    config = write_config(tmp_path, python)
    with config.open("a", encoding="utf-8") as file:
        file.write("  - name: beside\n    adapter: showcase\n    size: 2\n")
        file.write(f"    python: {peers.PYTHON}\n")
    done = peers.run(peers.CLI, "status", "-o", "json", "--config", config)
    assert done.returncode == 0, done.stderr
    pools = json.loads(done.stdout)["pools"]
    assert [(p["name"], p["profile"], p["capacity"]) for p in pools] == [
        ("threaded", "thread", THREADS),
        ("beside", "process", 2),
    ]
    host = peers.Host(config)
    assert host.call("echo", {"value": 1}, "--pool", "threaded") == 1
    assert host.call("add", {"a": 2, "b": 3}, "--pool", "beside") == {"result": 5}


def test_an_adapter_that_is_not_made_for_threads_runs_one_call_at_a_time(tmp_path, python):
    (tmp_path / "plain.py").write_text("def echo(value):\n    return value\n")
    config = write_config(tmp_path, python, tmp_path / "plain.py")
    done = peers.run(peers.CLI, "status", "-o", "json", "--config", config)
    pool = json.loads(done.stdout)["pools"][0]
    assert [w["capacity"] for w in pool["worker_list"]] == [1]
