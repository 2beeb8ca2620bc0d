# SPDX-License-Identifier: MIT
"""`snakepit inspect` and `snakepit advise`: figures, and what they advise."""

import daemons
import peers
import pytest
from cli_tool import snakepit, wait_until

pytest.importorskip("grpc", reason="needs python3-grpcio")

KEYS = {"pool_name", "profile", "worker_count", "capacity_total", "capacity_used",
        "capacity_available", "utilization_percent", "workers"}
WORKER_KEYS = {"worker_id", "pid", "profile", "capacity", "load", "memory_mb", "status"}


@pytest.fixture(autouse=True, scope="module")
def stubs(tmp_path_factory):
    peers.make_stubs(tmp_path_factory.mktemp("stubs"))


def test_a_pit_of_its_own_is_inspected():
    done = snakepit("inspect", "-a", "showcase", "--size", "2", "--detailed", "--recommendations")
    assert (done.code, done.err) == (0, "")
    for text in ("Configuration", "Statistics", "Process details", "Memory",
                 "Worker details", "Recommendations", "utilization  0.0 % LOW",
                 "capacity     2: 0 used, 2 available", "none: no figure asks for a change"):
        assert text in done.out
    short = snakepit("inspect", "-a", "showcase", "--size", "2")
    assert "Worker details" not in short.out and "Recommendations" not in short.out


def test_inspect_as_json_has_the_names_of_the_profile_inspector():
    report = snakepit("inspect", "-a", "showcase", "--size", "2", "-o", "json").json
    [pool] = report["pools"]
    assert set(pool) >= KEYS and report["version"] == 1
    assert len(pool["workers"]) == 2
    for worker in pool["workers"]:
        assert set(worker) >= WORKER_KEYS
        assert worker["memory_mb"] > 1 and worker["status"] == "ready"
    assert pool["memory"]["average_mb"] <= pool["memory"]["largest_mb"]


def test_the_thread_profile_has_threads():
    done = snakepit("inspect", "-a", "showcase", "--size", "1", "--set",
                    "pools.default.profile=thread", "--set", "pools.default.threads=2",
                    "--recommendations")
    assert "Thread details" in done.out and "2 in each worker, 2 in all" in done.out
    assert "2 threads in a worker, fewer than 4" in done.out
    assert "set pools.default.threads: 4" in done.out


def test_advice_has_its_figure_and_an_exit_code():
    done = snakepit("advise", "-a", "showcase", "--size", "1")
    assert (done.code, done.out) == (0, "")
    assert "no figure asks for a change" in done.err
    threads = ["--set", "pools.default.profile=thread", "--set", "pools.default.threads=40"]
    done = snakepit("advise", "-a", "showcase", "--size", "1", *threads, "-o", "json")
    assert done.code == 1
    rules = {one["rule"]: one for one in done.json["recommendations"]}
    many = rules["many_threads"]
    assert "40 threads" in many["figure"] and many["why"] and many["pool_name"] == "default"
    assert (many["key"], many["value"]) == ("pools.default.threads", "32")


def test_a_daemon_under_load_is_told_to_grow(tmp_path):
    with (daemons.running(tmp_path) as daemon,
          peers.connected(daemon.address) as client):
        held = tmp_path / "held"
        request = client.request("hold", {"path": str(held)})
        calls = [client.bridge.ExecuteTool.future(request) for _ in range(3)]
        wait_until((tmp_path / "held.held").exists, "the tool to run")
        where = ["--connect", daemon.address]
        done = snakepit("advise", "default", *where)
        assert done.code == 1
        assert "100 % in use" in done.out and "set pools.default.size: " in done.out
        assert "CRITICAL" in snakepit("inspect", *where).out
        assert snakepit("inspect", "nobody", *where).code == 4
        (tmp_path / "held.go").touch()
        for call in calls:
            assert call.result(daemons.DEADLINE_S).success
        assert snakepit("inspect", "a", "b").code == 2


def test_sessions_that_miss_their_worker_are_told_to_wait_for_it(tmp_path):
    with (daemons.running(tmp_path, size=2) as daemon,
          peers.connected(daemon.address) as client):
        for i in range(6):  # while one worker has the session's call, the next moves on
            held = tmp_path / f"held{i}"
            request = client.request("hold", {"path": str(held)}, session_id="s")
            call = client.bridge.ExecuteTool.future(request)
            wait_until((tmp_path / f"held{i}.held").exists, "the tool to run")
            assert client.execute("add", {"a": 1}, session_id="s") == 2
            (tmp_path / f"held{i}.go").touch()
            assert call.result(daemons.DEADLINE_S).success
        done = snakepit("advise", "-o", "json", "--connect", daemon.address)
        [miss] = [one for one in done.json["recommendations"]
                  if one["rule"] == "affinity_misses"]
        assert (miss["key"], miss["value"]) == ("pools.default.affinity", "strict_queue")
        assert miss["figure"] == ("6 of 11 calls of sessions did not get the worker they "
                                  "had before: 6 moved, 0 were refused")
        out = snakepit("inspect", "--connect", daemon.address).out
        assert "sessions     5 calls got their worker, 6 moved, 0 refused" in out


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"LC_ALL": "C"}])
def test_plain_terminals_get_plain_text(env):
    done = snakepit("inspect", "-a", "showcase", "--size", "1", "--detailed", env=env)
    assert done.code == 0 and "\x1b" not in done.out
    assert done.out.isascii()
