# SPDX-License-Identifier: MIT
"""`snakepit cleanup`: what killed hosts left, explained and ended."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from cli_tool import BUILD, snakepit, wait_until

HOST = BUILD / "test" / "instances" / "instances"
PLAIN = BUILD / "test" / "system" / "plain"


def alive(pid):
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rsplit(")", 1)[1].split()[0] not in "ZX"


def children(pid):
    """Of all threads: a pit's guard is a child of its loop."""
    return [int(child) for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()]


@pytest.fixture
def runtime(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def host(runtime):
    """A host of instance "prod" with two workers in C, ready."""
    process = subprocess.Popen(
        [HOST, "host", str(runtime), "prod", PLAIN], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
        env={**os.environ, "SNAKEPIT_GUARD": str(BUILD / "guard" / "snakepit-guard")})
    assert process.stdout.readline() == "ready\n"
    yield process
    process.stdin.close()
    process.wait(60)
    process.stdout.close()


def kill_with_guard(host):
    """Both at once, neither with a moment to react."""
    [guard] = children(host.pid)
    workers = children(guard)
    for pid in (guard, host.pid):
        os.kill(pid, signal.SIGSTOP)
    os.kill(guard, signal.SIGKILL)
    host.kill()
    host.wait(60)
    return guard, workers


def cleanup(runtime, *args):
    return snakepit("cleanup", *args, env={"SNAKEPIT_RUNTIME_DIR": str(runtime)})


def test_without_instances_there_is_nothing_to_do(runtime):
    done = cleanup(runtime)
    assert (done.code, done.out) == (0, "")
    assert "no instance has left anything" in done.err
    assert cleanup(runtime, "--instance", "nobody").code == 0
    assert cleanup(runtime, "word").code == 2


def test_a_host_that_runs_is_left_alone(runtime, host):
    done = cleanup(runtime)
    assert done.code == 0
    assert f"held by instances (pid {host.pid})" in done.err
    # A row whose number has not been written yet has its process found by the mark.
    assert {line.split()[0] for line in done.lines[1:]} == {"prod"}
    assert len(done.lines) >= 4
    assert "running" in done.out and "left alone" in done.out
    asked = cleanup(runtime, "--instance", "prod")
    assert asked.code == 5
    assert "SP-IN-USE" in asked.err and f"pid {host.pid}" in asked.err
    assert host.poll() is None


def test_rows_of_a_killed_host_are_explained_and_then_freed(runtime, host):
    guard, workers = kill_with_guard(host)
    wait_until(lambda: not any(map(alive, workers)), "the kernel to end the workers")
    done = cleanup(runtime, "--dry-run", "-o", "json")
    assert done.code == 0  # there is nothing to end
    [instance] = json.loads(done.out)["instances"]
    assert (instance["name"], instance["state"]) == ("prod", "abandoned")
    assert instance["pid"] == host.pid
    found = {p["pid"]: p for p in instance["processes"]}
    assert found[guard]["kind"] == "guard"
    assert all(found[pid]["verdict"] == "gone" for pid in [guard, *workers])
    assert (runtime / "prod" / "registry").exists()
    done = cleanup(runtime, "--instance", "prod")
    assert done.code == 0
    assert not (runtime / "prod").exists()


def test_what_is_left_is_shown_and_then_ended(runtime, host):
    mark = next(v for v in Path(f"/proc/{children(children(host.pid)[0])[0]}/environ")
                .read_bytes().split(b"\0") if v.startswith(b"SNAKEPIT_RUN="))
    kill_with_guard(host)
    left = subprocess.Popen(["/bin/sleep", "1000"],
                            env={"SNAKEPIT_RUN": mark.split(b"=", 1)[1].decode()})
    stranger = subprocess.Popen(["/bin/sleep", "1000"], env={"SNAKEPIT_RUN": "prod:0:0"})
    try:
        shown = cleanup(runtime, "--dry-run")
        assert shown.code == 1
        row = next(line for line in shown.lines if f" {left.pid} " in line)
        assert "environment" in row and "would be ended" in row
        assert str(stranger.pid) not in shown.out
        assert left.poll() is None
        done = cleanup(runtime)
        assert done.code == 0
        row = next(line for line in done.lines if f" {left.pid} " in line)
        assert "ended" in row and "the mark in its environment" in row
        assert left.wait(10) == -signal.SIGKILL
        assert stranger.poll() is None
    finally:
        for process in (left, stranger):
            process.kill()
            process.wait()
