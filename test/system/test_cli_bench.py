# SPDX-License-Identifier: MIT
"""snakepit bench: calls are made as asked and counted as they were; nothing here depends
on how fast the machine is."""

import os
import signal

import daemons
import pytest
from cli_tool import BUILD, Started, on_terminal, snakepit, wait_until

ADAPTER = '''
import os, time
from snakepit_bridge import BaseAdapter, tool

class Adapter(BaseAdapter):
    @tool
    def count(self, path: str):
        """One byte for each call."""
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(fd, b".")
        os.close(fd)

    @tool
    def slow(self, seconds: float):
        time.sleep(seconds)

    @tool
    def third_fails(self):
        self.calls = getattr(self, "calls", 0) + 1
        if self.calls % 3 == 0:
            raise ValueError("the third one")

    @tool
    def fails(self):
        raise ValueError("always")

    @tool
    def hold(self, path: str):
        """Answer the first call; hold the others."""
        if getattr(self, "called", False):
            open(path, "w").close()
            while True:
                time.sleep(0.01)
        self.called = True
'''

QUANTILES = ["p50", "p90", "p99", "p999", "max"]


@pytest.fixture
def here(tmp_path):
    (tmp_path / "a.py").write_text(ADAPTER)
    return tmp_path


def bench(here, *words):
    return snakepit("bench", "-a", "a.py", "--size", 1, *words, cwd=here)


def in_order(quantiles):
    values = [quantiles[name] for name in QUANTILES]
    return list(quantiles) == QUANTILES and values == sorted(values)


@pytest.mark.parametrize("way, mode, count", [("--in-flight", "in_flight", 3),
                                              ("--threads", "threads", 4)])
def test_every_call_is_counted_once(here, way, mode, count):
    done = bench(here, "count", f"path={here}/calls", way, count, "-d", "200ms", "--repeat",
                 3, "--warm-up", "0", "--no-empty", "-o", "json")
    assert (done.code, done.err) == (0, "")
    found = done.json
    assert (found["tool"], found["pool"], found["workers"]) == ("count", "default", 1)
    assert (found["mode"], found[mode], found["duration_ms"]) == (mode, count, 200)
    assert (found["failed"], found["errors"], found["missed"]) == (0, {}, 0)
    assert found["calls"] == sum(r["calls"] for r in found["repetitions"]) > 0
    assert len(found["repetitions"]) == 3
    # One call comes first, and those under way at the end are not counted any more.
    made = (here / "calls").stat().st_size
    assert 1 <= made - found["calls"] <= 1 + count
    for kind in ("latency_us", "queued_us", "run_us"):
        assert in_order(found[kind]), kind
    assert found["run_us"]["max"] <= found["latency_us"]["max"]
    assert all(in_order(r["latency_us"]) for r in found["repetitions"] if r["calls"])
    rates = found["calls_per_second"]
    assert rates["min"] <= rates["median"] <= rates["max"]
    assert [rates["min"], rates["max"]] == [
        f(r["calls"] / 0.2 for r in found["repetitions"]) for f in (min, max)]


def test_a_schedule_is_kept_whatever_the_answers(here):
    done = bench(here, "count", f"path={here}/calls", "--rate", 100, "-d", "500ms",
                 "--repeat", 2, "--warm-up", "100ms", "--no-empty", "-o", "json", "--set",
                 "pool.queue_timeout=60s")
    found = done.json
    assert (done.code, found["mode"], found["rate"]) == (0, "rate", 100)
    assert [r["calls"] for r in found["repetitions"]] == [50, 50]
    assert (here / "calls").stat().st_size == 1 + 10 + 100
    assert found["calls_per_second"]["spread"] == 0


def test_a_schedule_shows_that_calls_queue(here):
    """20 calls that take 50 ms are due within half a second: the n-th is answered after
    n times 50 ms at the earliest, though due after n times 25 ms."""
    slow = ["slow", "seconds=0.05", "--no-empty", "--warm-up", "0", "-o", "json"]
    done = bench(here, *slow, "--rate", 40, "-d", "500ms", "--repeat", 1, "--set",
                 "pool.queue_timeout=60s")
    found = done.json
    assert (done.code, found["calls"]) == (0, 20)
    assert found["latency_us"]["max"] >= 20 * 50e3 - 19 * 25e3
    assert found["latency_us"]["p50"] >= 0.99 * (10 * 50e3 - 9 * 25e3)
    alone = bench(here, *slow, "--in-flight", 1, "-d", "500ms", "--repeat", 1).json
    assert alone["latency_us"]["p50"] >= 0.99 * 50e3
    assert 0 < alone["calls"] <= 10


def test_failures_are_counted_by_their_code(here):
    words = ["third_fails", "--in-flight", 1, "-d", "100ms", "--no-empty"]
    done = bench(here, *words, "-o", "json")
    found = done.json
    assert done.code == 1
    assert found["failed"] == sum(r["failed"] for r in found["repetitions"]) > 0
    assert found["errors"] == {"SP-REMOTE": found["failed"]}
    assert abs(found["calls"] - 2 * found["failed"]) <= 2
    table = bench(here, *words)
    assert table.code == 1
    assert "SP-REMOTE" in table.out
    assert "the third one" in table.out


def test_what_cannot_be_called_is_said_as_by_call(here):
    for words in (["fails"], ["no_such_tool"], ["slow", "second=1"]):
        done = bench(here, *words)
        called = snakepit("call", "-a", "a.py", *words, cwd=here)
        assert (done.code, done.out) == (called.code, "")
        assert done.code != 0
        assert done.err.splitlines()[0] == called.err.splitlines()[0]


def test_an_empty_tool_stands_beside_it(here):
    words = ["slow", "seconds=0.02", "--in-flight", 1, "-d", "100ms", "--repeat", 2]
    found = bench(here, *words, "-o", "json").json
    assert found["empty"]["tool"] == "builtins.dict"
    assert found["empty"]["calls_per_second"]["max"] > 0
    assert found["beyond_empty_us"] == pytest.approx(
        found["latency_us"]["p50"] - found["empty"]["p50_us"])
    assert "An empty tool (builtins.dict)" in bench(here, *words).out
    assert "An empty tool" not in bench(here, *words, "--no-empty").out


def test_workers_that_are_not_python_have_no_empty_tool(tmp_path):
    (tmp_path / "snakepit.yaml").write_text(
        "pools:\n  - name: own\n    runtime: exec\n    size: 1\n"
        f"    command: [{BUILD}/test/system/plain]\n")
    done = snakepit("bench", "echo", "a=1", "-d", "100ms", "-o", "json", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert done.json["empty"] is None
    assert done.json["pool"] == "own"
    assert done.json["calls"] > 0


def test_a_table_for_people(here):
    done = bench(here, "slow", "seconds=0", "-d", "100ms", "--repeat", 2)
    assert (done.code, done.err) == (0, "")
    lines = done.lines
    assert lines[0] == "slow: 64 in flight, 1 worker, 2 x 100ms"
    assert lines[1].startswith("calls/s ")
    assert lines[3].split() == ["us", "p50", "p90", "p99", "p99.9", "max"]
    assert [line.split()[0] for line in lines[4:7]] == ["latency", "queued", "run"]


def test_functions_need_no_adapter():
    done = snakepit("bench", "-m", "math.sqrt", "[4]", "--size", 2, "-d", "50ms",
                    "--repeat", 1, "-o", "json")
    assert (done.code, done.json["tool"], done.json["workers"]) == (0, "math.sqrt", 2)


def test_a_running_daemon_can_be_measured(tmp_path):
    with daemons.running(tmp_path / "it's", instance=f"bench-{os.getpid()}") as daemon:
        address = daemon.address
        words = ["bench", "echo", "value=5", "--connect", address, "-d", "100ms"]
        done = snakepit(*words, "--in-flight", 3, "-o", "json")
        assert (done.code, done.err) == (0, "")
        found = done.json
        assert (found["address"], found["failed"]) == (address, 0)
        assert "pool" not in found
        assert found["empty"] is None
        assert found["calls"] > 0
        assert snakepit(*words).lines[0] == (
            f"echo at {address}: 64 in flight, 5 x 100ms")
        refused = snakepit(*words, "-a", "a.py")
        assert (refused.code, refused.out) == (2, "")
        missing = snakepit("bench", "no_such_tool", "--connect", address)
        assert missing.code == 4
    gone = snakepit(*words)
    assert (gone.code, gone.out) == (3, "")
    assert f"no daemon at {address}" in gone.err
    assert snakepit("bench", "echo", "--connect", "localhost:1").code == 2


@pytest.mark.parametrize("words, part", [
    (["--in-flight", 2, "--rate", 5], "choose one"),
    (["--threads", 2, "--in-flight", 5], "choose one"),
    (["--in-flight", 0], "--in-flight: expected a number from 1 to 65536"),
    (["--threads", "many"], "--threads: expected a number"),
    (["--rate", -1], "--rate"),
    (["-d", "0s"], "--duration: 0s is out of range"),
    (["-d", "2h"], "--duration: expected a time up to 1h"),
    (["-d", "never"], "--duration"),
    (["--warm-up", "soon"], "--warm-up"),
    (["--repeat", 1001], "--repeat: expected a number from 1 to 1000"),
])
def test_wrong_words_are_refused(here, words, part):
    done = bench(here, "count", f"path={here}/calls", *words)
    assert (done.code, done.out) == (2, "")
    assert part in done.err
    assert not (here / "calls").exists()


@pytest.mark.parametrize("way", [["--in-flight", 2], ["--threads", 2], ["--rate", 50]])
def test_an_interrupt_ends_it_with_calls_under_way(here, way):
    with Started("bench", "-a", "a.py", "--size", 1, "hold", f"path={here}/held", *way,
                 "--set", "pool.cancel_grace=100ms", cwd=here) as started:
        wait_until((here / "held").exists, "a call to be held")
        started.signal(signal.SIGINT)
        done = started.end()
    assert (done.code, done.out) == (130, "")
    assert "interrupted" in done.err


def test_progress_is_shown_on_a_terminal(here):
    code, shown, _ = on_terminal("bench", "-a", "a.py", "--size", "1", "slow", "seconds=0",
                                 "-d", "500ms", "--repeat", "2", "--no-empty", cwd=here)
    assert code == 0
    assert "repetition 1 of 2: " in shown
