# SPDX-License-Identifier: MIT
"""snakepit logs: what a daemon has logged, and what it goes on to log."""

import json
import os
import select
import signal
import subprocess

import daemons
import peers
import pytest
from cli_tool import snakepit

grpc = pytest.importorskip("grpc", reason="needs python3-grpcio")


@pytest.fixture(scope="module", autouse=True)
def stubs(tmp_path_factory):
    return peers.make_stubs(tmp_path_factory.mktemp("stubs"))


@pytest.fixture(scope="module")
def daemon(stubs, tmp_path_factory):
    place = tmp_path_factory.mktemp("logs")
    more = [{"name": "other", "adapter": f"{daemons.PROBE}:Probe", "size": 2}]
    with daemons.running(place, more=more) as daemon:
        with grpc.insecure_channel(daemon.address) as channel:
            client = peers.Client(channel)
            for i in range(3):
                client.execute("say", {"line": f"in default {i}"}, session_id="u-1")
            client.execute("warn", {"line": "token=abcd \x1b[31m"},
                           headers=(("snakepit-pool", "other"),))
            with pytest.raises(grpc.RpcError):
                client.execute("fail")
        daemon.await_event("worker.output", 4)
        daemon.await_event("call.failed")
        yield daemon


def logs(daemon, *words):
    done = snakepit("logs", "--connect", daemon.address, *words)
    assert (done.code, done.err) == (0, ""), done.err
    return done.lines


def objects(daemon, *words):
    return [json.loads(line) for line in logs(daemon, "-o", "json", *words)]


def test_lines_are_text_with_what_matters_first(daemon):
    line = next(x for x in logs(daemon) if "in default 0" in x)
    words = line.split()
    assert words[0].startswith("20") and words[0].endswith("Z")
    assert words[1:6] == ["info", "default/0", "in", "default", "0"]
    assert {"event=worker.output", "session=u-1", "tool=say", "stream=stdout"} <= set(words)


def test_what_it_keeps_is_what_it_logged(daemon):
    told = [line["event"] for line in objects(daemon)]
    assert told == daemon.events()[: len(told)]
    assert told.index("daemon.listening") < told.index("daemon.ready")


def test_nothing_of_a_terminal_and_no_secret_gets_through(daemon):
    (line,) = [x for x in logs(daemon, "--pool", "other", "--kind", "worker.output")]
    assert "\x1b" not in line and "token=[redacted]" in line and "stream=stderr" in line


def test_lines_of_a_pool_or_a_worker_or_a_kind(daemon):
    output = ("--kind", "worker.output")
    assert len(objects(daemon, *output)) == 4
    assert len(objects(daemon, "--pool", "default", *output)) == 3
    assert len(objects(daemon, "--worker", "default/0", *output)) == 3
    assert len(objects(daemon, "--pool", "default", "--worker", "0", *output)) == 3
    assert len(objects(daemon, "--worker", "default/1")) == 0
    assert len(objects(daemon, "--pool", "none")) == 0
    (failed,) = objects(daemon, "--level", "warn")
    assert (failed["event"], failed["code"]) == ("call.failed", "SP-REMOTE")


def test_count_is_of_the_last(daemon):
    assert [x["msg"] for x in objects(daemon, "--pool", "default", "--kind", "worker.output",
                                      "-n", "2")] == ["in default 1", "in default 2"]


def test_what_is_wrong_is_named(daemon):
    for words, says in (
        (("--level", "loud"), "error, warn, info or debug"),
        (("--worker", "7"), "POOL/SLOT"),
        (("--worker", "default/x"), "POOL/SLOT"),
    ):
        done = snakepit("logs", "--connect", daemon.address, *words)
        assert done.code == 2 and says in done.err


def test_without_a_daemon_there_is_no_log(tmp_path):
    done = snakepit("logs", "--connect", f"unix:{tmp_path}/none")
    assert done.code == 3 and "no daemon" in done.err


def test_follow_goes_on_until_it_is_interrupted(daemon):
    follower = subprocess.Popen(
        [str(peers.BUILD / "snakepit"), "logs", "-f", "-n", "1", "--connect", daemon.address,
         "--kind", "worker.output"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=peers.ENVIRONMENT)

    def next_line():
        assert select.select([follower.stdout], [], [], daemons.DEADLINE_S)[0]
        return os.read(follower.stdout.fileno(), 65536).decode()

    try:
        next_line()
        with grpc.insecure_channel(daemon.address) as channel:
            peers.Client(channel).execute("say", {"line": "afterwards"})
        assert "afterwards" in next_line()
        follower.send_signal(signal.SIGINT)
        assert follower.wait(daemons.DEADLINE_S) == 130
    finally:
        if follower.poll() is None:
            follower.kill()
        follower.communicate()
