# SPDX-License-Identifier: MIT
"""`snakepit scaling`: real workers in doubling steps, and the limits of the machine."""

import resource
import shutil
import subprocess

import pytest
from cli_tool import SNAKEPIT, Started, environment, on_terminal, snakepit


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
    # It is narrowed down as far as the time for that goes.
    assert report["steps"][-1]["workers"] < report["broke_at"]
    assert report["steps"][-1]["workers"] > 16 or report["broke_at"] < 32
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


# --- what is taken until it is refused ------------------------------------------------------

TAKEN = ["descriptors", "connections (unix)", "connections (TCP)", "connections not accepted",
         "ports", "memory", "clients of a daemon"]


def taken(*words):
    report = snakepit("scaling", "--max", "1", "-a", "showcase", "-o", "json", *words).json
    assert [one["name"] for one in report["taken"]] == TAKEN
    for one in report["taken"]:
        assert 0 < one["reached"] <= one["bound"] and one["stopped_by"]
        assert one["refused"] == bool(one["set"])
    return {one["name"]: one for one in report["taken"]}


def test_everything_is_taken_to_its_bound_or_a_limit():
    found = taken()
    assert found["memory"]["unit"] == "MiB"
    queue = found["connections not accepted"]
    if queue["refused"] and "queue" in queue["stopped_by"]:
        assert queue["set"] == f"sysctl -w net.core.somaxconn={2 * queue['reached']}"


def test_descriptors_and_connections_end_at_the_limit_of_the_process():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, before[1]))
        found = taken()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    for name in ("descriptors", "connections (unix)", "connections (TCP)", "ports"):
        assert found[name]["refused"] and found[name]["stopped_by"].startswith("EMFILE")
        assert found[name]["set"].startswith("ulimit -n ")
    reached = found["descriptors"]["reached"]
    assert 250 < reached < 300
    assert abs(2 * found["connections (TCP)"]["reached"] - reached) <= 4  # both ends


def test_a_daemon_has_as_many_clients_as_it_may():
    clients = taken("--set", "listen.clients=40")["clients of a daemon"]
    assert (clients["reached"], clients["set"]) == (40, "listen.clients: 80")


def test_its_folder_is_where_tmpdir_says(tmp_path):
    nowhere = tmp_path / "no"
    done = snakepit("scaling", "--max", "1", "-a", "showcase", "-o", "json",
                    env={"TMPDIR": str(nowhere)})
    clients = done.json["taken"][-1]
    assert (clients["name"], clients["reached"]) == ("clients of a daemon", 0)
    assert clients["refused"] and clients["set"].startswith("TMPDIR=")


def test_ports_and_the_queue_of_the_kernel_run_out():
    """In a network of its own, where there are few of both."""
    script = ("ip link set lo up && sysctl -qw net.ipv4.ip_local_port_range='50000 50099' "
              "net.core.somaxconn=20 && exec \"$@\"")
    if shutil.which("unshare") is None or shutil.which("ip") is None or subprocess.run(
            ["unshare", "-n", "true"], capture_output=True).returncode != 0:
        pytest.skip("needs unshare, ip and the right to a network of its own")
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", script, "sh", SNAKEPIT, "scaling", "--max", "1", "-a",
         "showcase", "-o", "wide"], env=environment("ports"), cwd="/", capture_output=True,
        text=True, timeout=60)
    rows = {line.split("  ")[0]: line for line in done.stdout.splitlines()}
    assert 95 <= int(rows["ports"].split()[1]) <= 100
    assert 'net.ipv4.ip_local_port_range="1024 65535"' in rows["ports"]
    assert 95 <= int(rows["connections (TCP)"].split()[2]) <= 100
    assert "net.core.somaxconn=" in rows["connections not accepted"]
    assert 15 < int(rows["connections not accepted"].split()[3]) < 30


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"LC_ALL": "C"}])
def test_plain_terminals_get_plain_text(env):
    done = snakepit("scaling", "--max", "1", "-a", "showcase", env=env)
    assert done.code == 0 and "\x1b" not in done.out and done.out.isascii()
