# SPDX-License-Identifier: MIT
"""`snakepit stack`: the live workers of a daemon, in whatever language, while they run."""

import contextlib
import os
import signal

import daemons
import peers
import pytest
from cli_tool import BUILD, DEADLINE, snakepit, wait_until

pytest.importorskip("grpc", reason="needs python3-grpcio")

SPINS = peers.HERE / "workers" / "stacks"

NATIVE = [
    ("python", "spins.py", r"in turn_round", None),
    ("node", "spins.js", r"at turnRound (", "node/snakepit.node"),
    ("ruby", "spins.rb", r"turn_round", "ruby/snakepit_worker.rb"),
    ("r", "spins.R", r"turn_round(path)", "r/snakepit_worker.R"),
]


@pytest.fixture(autouse=True, scope="module")
def stubs(tmp_path_factory):
    peers.make_stubs(tmp_path_factory.mktemp("stubs"))


@contextlib.contextmanager
def spinning(daemon, path):
    """A call of `spin` that runs meanwhile; it must end well afterwards."""
    with peers.connected(daemon.address) as client:
        request = client.request("spin", {"path": str(path)})
        future = client.bridge.ExecuteTool.future(request)
        wait_until(path.exists, "the tool to run")
        yield
        path.with_name(path.name + ".end").touch()
        assert future.result(DEADLINE).success


@pytest.mark.parametrize(("language", "file", "line", "needs"), NATIVE)
def test_the_stack_of_a_busy_worker(tmp_path, language, file, line, needs):
    if needs is not None and not (BUILD / "bridges" / needs).exists():
        pytest.skip(f"the bridge for {language} is not built")
    adapter = str(SPINS / file)
    with (daemons.running(tmp_path, runtime=language, adapter=adapter) as daemon,
          spinning(daemon, tmp_path / "p")):
        where = ["--connect", daemon.address]
        for _ in range(3):
            done = snakepit("stack", "default/0", *where)
            assert (done.code, done.err) == (0, "")
            assert line in done.out and file in done.out
            assert done.lines[0].startswith("default/0  pid ") and "busy" in done.lines[0]
        [worker] = snakepit("stack", "-o", "json", *where).json["workers"]
        by_pid = snakepit("stack", worker["pid"], "-o", "json", *where).json["workers"]
        assert [one["worker"] for one in by_pid] == ["default/0"]
        assert line in worker["stack"] and worker["why_none"] == ""
        names = {thread["tid"]: thread["state"] for thread in worker["threads"]}
        assert worker["pid"] in names and all(names.values())


def test_what_has_no_stack_is_seen_from_outside(tmp_path):
    plain = str(BUILD / "test/system/plain")
    with daemons.running(tmp_path, runtime="exec", command=[plain]) as daemon:
        done = snakepit("stack", "--connect", daemon.address)
        assert done.code == 0
        assert "no stack: worker default/0 shows no stacks" in done.out
        [worker] = snakepit("stack", "-o", "json", "--connect", daemon.address).json["workers"]
        row = next(x for x in done.lines if x.split()[0] == str(worker["pid"]))
        assert row.split()[1] == "plain"


def test_a_stopped_worker_is_told_as_stopped(tmp_path):
    with daemons.running(tmp_path) as daemon:
        where = ["--connect", daemon.address]
        [worker] = snakepit("stack", "-o", "json", *where).json["workers"]
        os.kill(worker["pid"], signal.SIGSTOP)
        try:
            done = snakepit("stack", *where)
            assert done.code == 0
            assert "wrote no stack within" in done.out and "stopped" in done.out
        finally:
            os.kill(worker["pid"], signal.SIGCONT)
        assert "most recent call first" in snakepit("stack", *where).out


def test_wide_adds_the_threads(tmp_path):
    with daemons.running(tmp_path) as daemon:
        done = snakepit("stack", "default/0", "-o", "wide", "--connect", daemon.address)
        assert "most recent call first" in done.out
        assert any(line.split()[:2] == ["THREAD", "NAME"] for line in done.lines)


def test_what_is_not_there_is_said(tmp_path):
    with daemons.running(tmp_path) as daemon:
        where = ["--connect", daemon.address]
        for word, text in [("default/7", 'no worker "default/7"'),
                           ("1", "no worker is process 1")]:
            done = snakepit("stack", word, *where)
            assert (done.code, done.out) == (4, "")
            assert text in done.err
    done = snakepit("stack", cwd=tmp_path, env={"SNAKEPIT_RUNTIME_DIR": str(tmp_path / "none")})
    assert done.code == 3 and "no daemon runs here" in done.err
    assert snakepit("stack", "a/0", "b/1").code == 2
