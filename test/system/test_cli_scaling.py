# SPDX-License-Identifier: MIT
"""`snakepit scaling`: real workers in doubling steps, and the limits of the machine."""

import resource

import pytest
from cli_tool import Started, on_terminal, snakepit


def test_workers_are_started_in_doubling_steps():
    done = snakepit("scaling", "--max", "3", "-a", "showcase", "-o", "json")
    assert done.code == 0
    report = done.json
    assert [step["workers"] for step in report["steps"]] == [1, 2, 3]
    for step in report["steps"]:
        assert step["ready_ms"] > 0 and step["each_ms"] <= step["slowest_ms"]
        assert step["memory_bytes"] > 1 << 20
        assert step["descriptors"] >= 1 and step["tasks"] >= 1
    assert report["forked_ms"] > 0 and report["broke_at"] == 0
    names = {limit["name"] for limit in report["limits"]}
    assert {"descriptors of the host", "threads of the machine", "process numbers", "memory",
            "workers of a pool", "processes of the control group"} <= names
    least = min(one["workers"] for one in report["limits"] if one["workers"] is not None)
    assert report["first"]["workers"] == least and report["first"]["raise"]


def test_the_table_says_what_is_met_first():
    done = snakepit("scaling", "--max", "1", "-a", "showcase")
    assert done.code == 0
    assert "workers started: 1, without a failure; --max 2 goes on" in done.out
    assert "first limit: " in done.out and "to raise it: " in done.out
    assert "starting up to 1 workers" in done.err
    assert max(len(line) for line in done.lines[:-1]) <= 80
    assert "sysctl" in snakepit("scaling", "--max", "1", "-a", "showcase", "-o", "wide").out


def test_a_limit_that_is_met_is_the_breaking_point(tmp_path):
    """With so few descriptors the second step cannot start all its workers."""
    few = (40, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, few)
    try:
        done = snakepit("scaling", "--max", "32", "-a", "showcase", "--set",
                        "pools.default.startup_timeout=5s", "-o", "json")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert done.code == 1, done.err
    report = done.json
    assert 1 < report["broke_at"] <= 32 and report["steps"]
    assert report["first"]["name"] == "descriptors of the host"


def test_an_interrupted_trial_leaves_nothing():
    with Started("scaling", "--max", "500", "-a", "showcase") as command:
        err = command.process.stderr
        assert b"starting up to 500" in err.readline()
        command.signal()
        done = command.end()
    assert done.code == 130


@pytest.mark.parametrize(("words", "code"), [
    (["--max", "1001"], 2), (["--max", "x"], 2), (["more"], 2),
    (["-a", "nowhere_at_all.py"], 4)])  # fmt: skip
def test_what_makes_no_sense_is_refused(words, code):
    done = snakepit("scaling", *words)
    assert (done.code, done.out) == (code, "")


def test_progress_is_for_terminals():
    code, shown, out = on_terminal("scaling", "--max", "2", "-a", "showcase",
                                   out_is_terminal=False)
    assert code == 0 and "starting 2 of at most 2 workers" in shown
    assert "\x1b" not in out
