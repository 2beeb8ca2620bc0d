# SPDX-License-Identifier: MIT
"""snakepitd: starting, telling the service manager, ending, and what it refuses."""

import configparser
import ctypes
import json
import os
import resource
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

import daemons
import peers

grpc = pytest.importorskip("grpc", reason="needs python3-grpcio")

pytestmark = pytest.mark.usefixtures("stubs")

CUT, USAGE, FAILED, WRONG_CONFIG = 1, 2, 3, 78


def is_gone(pid):
    return not Path(f"/proc/{pid}").exists()


def children_of(pid):
    """Pids of a process and its descendants."""
    found = [pid]
    for at in found:
        for task in Path(f"/proc/{at}/task").glob("*/children"):
            found += [int(word) for word in task.read_text().split()]
    return found


# ---- starting and ending ----


def test_a_run_from_ready_to_stopped(tmp_path):
    with daemons.running(tmp_path, size=2) as daemon:
        ready = daemon.manager.said[-1]
        assert ready == "READY=1"
        assert daemon.manager.await_line("STATUS=serving: 2 of 2 workers ready")
        with grpc.insecure_channel(daemon.address) as channel:
            assert peers.Client(channel).execute("add", {"a": 1, "b": 2}) == 3
        family = children_of(daemon.process.pid)
        assert len(family) >= 4
        daemon.terminate()
        assert daemon.wait() == 0
        daemon.manager.await_line("STOPPING=1")
        assert not daemon.socket.exists()
        peers.cli_tool.wait_until(lambda: all(map(is_gone, family)), "all to be gone")
        for name in ("daemon.listening", "worker.ready", "daemon.ready", "daemon.ending",
                     "worker.stopped", "daemon.ended"):
            assert name in daemon.events()


def test_ready_is_not_told_before_the_workers_are(tmp_path):
    slow = peers.HERE / "workers" / "python" / "slow_start.py"
    gate = tmp_path / "gate"
    with daemons.running(
        tmp_path, wait=False, adapter=str(slow), env={"set": {"PROBE_GATE": str(gate)}}
    ) as daemon:
        daemon.manager.await_line("STATUS=starting: 0 of 1 workers ready")
        assert "READY=1" not in daemon.manager.said
        daemon.terminate()
        assert daemon.wait() in (0, CUT)
        assert "READY=1" not in daemon.manager.said


def test_an_abstract_notify_socket(tmp_path):
    with daemons.running(tmp_path, notify=f"@snakepit-test-{os.getpid()}") as daemon:
        daemon.terminate()
        daemon.manager.await_line("STOPPING=1")
        assert daemon.wait() == 0


def test_without_a_manager_it_runs_all_the_same(tmp_path):
    with daemons.running(tmp_path, wait=False, environment={"NOTIFY_SOCKET": ""}) as daemon:
        daemon.await_event("daemon.ready")
        daemon.terminate()
        assert daemon.wait() == 0


def test_calls_end_before_the_daemon_does(tmp_path):
    with daemons.running(tmp_path) as daemon, grpc.insecure_channel(
        daemon.address
    ) as channel:
        client = peers.Client(channel)
        hold = tmp_path / "hold"
        call = client.bridge.ExecuteTool.future(client.request("hold", {"path": str(hold)}))
        peers.cli_tool.wait_until(Path(f"{hold}.held").exists, "the call to run")
        daemon.terminate()
        daemon.await_event("daemon.ending")
        Path(f"{hold}.go").touch()
        assert call.result(peers.DEADLINE_S).success
        assert daemon.wait() == 0


def hold_and_end(daemon, channel, place):
    """A call that does not end, and a daemon that is ending."""
    client = peers.Client(channel)
    hold = place / "hold"
    call = client.bridge.ExecuteTool.future(client.request("hold", {"path": str(hold)}))
    peers.cli_tool.wait_until(Path(f"{hold}.held").exists, "the call to run")
    daemon.terminate()
    daemon.await_event("daemon.ending")
    return call


def test_what_does_not_end_is_cut_off_and_told(tmp_path):
    with daemons.running(
        tmp_path, "--set", "shutdown.timeout=400ms"
    ) as daemon, grpc.insecure_channel(daemon.address) as channel:
        call = hold_and_end(daemon, channel, tmp_path)
        assert call.exception(peers.DEADLINE_S).code() == grpc.StatusCode.ABORTED
        assert daemon.wait() == CUT
        assert "daemon.cut" in daemon.events()


def test_a_second_signal_ends_the_patience(tmp_path):
    with daemons.running(
        tmp_path, "--set", "shutdown.timeout=1h"
    ) as daemon, grpc.insecure_channel(daemon.address) as channel:
        call = hold_and_end(daemon, channel, tmp_path)
        daemon.terminate()
        assert call.exception(peers.DEADLINE_S).code() == grpc.StatusCode.ABORTED
        assert daemon.wait() == CUT


def test_a_killed_daemon_leaves_nothing_in_the_way(tmp_path):
    with daemons.running(tmp_path) as daemon:
        family = children_of(daemon.process.pid)
        daemon.process.kill()
        daemon.wait()
        peers.cli_tool.wait_until(lambda: all(map(is_gone, family)), "all to be gone")
        assert daemon.socket.exists()
        (tmp_path / "notify").unlink()
    with daemons.running(tmp_path) as daemon:
        with grpc.insecure_channel(daemon.address) as channel:
            assert peers.Client(channel).execute("echo", {"value": 1}) == 1
        daemon.terminate()
        assert daemon.wait() == 0


def test_two_daemons_do_not_share_a_socket(tmp_path):
    with daemons.running(tmp_path / "a") as daemon:
        config = daemons.write_config(tmp_path / "b", instance=f"other-{os.getpid()}")
        done = peers.run(
            daemons.SNAKEPITD, "--config", config, "--socket", daemon.socket
        )
        assert done.returncode == WRONG_CONFIG
        assert "another program listens" in done.stderr


# ---- the watchdog ----


def test_the_watchdog_is_fed(tmp_path):
    with daemons.running(tmp_path, environment={"WATCHDOG_USEC": "200000"}) as daemon:
        for _ in range(3):
            daemon.manager.await_line("WATCHDOG=1")


def test_a_watchdog_for_somebody_else_is_left_alone(tmp_path):
    with daemons.running(
        tmp_path, environment={"WATCHDOG_USEC": "20000", "WATCHDOG_PID": "1"}
    ) as daemon:
        daemon.manager.await_line("STATUS=serving")
        daemon.terminate()
        daemon.manager.await_line("STOPPING=1")
        assert not any("WATCHDOG" in said for said in daemon.manager.said)


def trace(request, thread):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    if libc.ptrace(request, thread, None, None) != 0:
        pytest.skip(f"ptrace is not allowed here: errno {ctypes.get_errno()}")


def stop_asleep(process, thread):
    """Stop a thread in its sleep, where it holds no lock, while the first one waits for
    time to pass and not for an answer of this one."""
    seize, interrupt, resume = 0x4206, 0x4207, 7
    epoll_wait, poll = {"232", "281", "22"}, {"7", "271", "73"}  # x86-64 and aarch64

    def is_in(task, calls):
        at = Path(f"/proc/{process}/task/{task}/syscall").read_text().split()[0]
        return at in calls

    trace(seize, thread)
    for _ in range(100000):
        trace(interrupt, thread)
        os.waitpid(thread, 0x40000000)  # __WALL: until it stands still
        if is_in(thread, epoll_wait) and is_in(process, poll):
            return
        trace(resume, thread)
    pytest.fail("the two are never asleep together")


def test_a_hung_loop_is_not_called_alive(tmp_path):
    detach = 17
    with daemons.running(tmp_path, environment={"WATCHDOG_USEC": "200000"}) as daemon:
        daemon.manager.await_line("WATCHDOG=1")
        loop = next(
            int(task.name)
            for task in Path(f"/proc/{daemon.process.pid}/task").iterdir()
            if (task / "comm").read_text().strip() == "snakepit-loop"
        )
        stop_asleep(daemon.process.pid, loop)
        daemon.await_event("daemon.silent", 3)
        # What was sent before it stood still has been read by then.
        while daemon.manager.next(0) is not None:
            pass
        daemon.await_event("daemon.silent", 5)
        assert daemon.manager.next(0) is None
        trace(detach, loop)
        daemon.manager.await_line("WATCHDOG=1")


# ---- what it refuses ----


def test_a_wrong_configuration(tmp_path):
    config = daemons.write_config(tmp_path)
    config.write_text(config.read_text() + "    sizes: 3\n")
    done = peers.run(daemons.SNAKEPITD, "--config", config)
    assert done.returncode == WRONG_CONFIG
    assert f"{config}:" in done.stderr and "size" in done.stderr


def test_a_socket_path_that_is_too_long(tmp_path):
    config = daemons.write_config(tmp_path)
    done = peers.run(daemons.SNAKEPITD, "--config", config, "--socket", "/" + 107 * "x")
    assert done.returncode == WRONG_CONFIG
    assert "107" in done.stderr


def test_more_clients_than_descriptors(tmp_path):
    config = daemons.write_config(tmp_path, listen={"clients": 90000})
    done = peers.run(
        daemons.SNAKEPITD, "--config", config,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (500, 500)),
    )  # fmt: skip
    assert done.returncode == WRONG_CONFIG
    assert "the limit is 500" in done.stderr


def test_an_adapter_that_cannot_start(tmp_path):
    broken = peers.HERE / "workers" / "python" / "broken_import.py"
    config = daemons.write_config(tmp_path, adapter=str(broken))
    done = peers.run(daemons.SNAKEPITD, "--config", config)
    assert done.returncode == FAILED
    assert "event=daemon.failed" in done.stderr


@pytest.mark.parametrize("words", [["--confg", "x"], ["--config"], ["--check=1"], ["--set", "x"]])
def test_usage(words):
    done = peers.run(daemons.SNAKEPITD, *words)
    assert done.returncode == USAGE
    assert "--help" in done.stderr


def test_help_and_version():
    text = peers.run(daemons.SNAKEPITD, "--help")
    assert text.returncode == 0
    for word in ("--config", "--check", "SIGTERM", "78", "man snakepitd"):
        assert word in text.stdout
    assert peers.run(daemons.SNAKEPITD, "--version").stdout.startswith("snakepitd 0.")


def test_check_opens_nothing(tmp_path):
    config = daemons.write_config(tmp_path, size=3)
    done = peers.run(daemons.SNAKEPITD, "--config", config, "--check")
    assert done.returncode == 0
    assert f"{config} is valid: 1 pool, 3 workers, served at unix:{tmp_path}" in done.stdout
    assert not (tmp_path / "s").exists()


# ---- what workers and the log get ----


def test_workers_get_few_variables(tmp_path):
    with daemons.running(
        tmp_path, environment={"DATABASE_PASSWORD": "canary", "TZ": "UTC"}
    ) as daemon, grpc.insecure_channel(daemon.address) as channel:
        client = peers.Client(channel)
        assert client.execute("variable", {"name": "DATABASE_PASSWORD"}) is None
        assert client.execute("variable", {"name": "NOTIFY_SOCKET"}) is None
        assert client.execute("variable", {"name": "TZ"}) == "UTC"
        assert client.execute("variable", {"name": "PATH"})


def test_a_line_of_the_log_is_a_line(tmp_path):
    with daemons.running(tmp_path) as daemon, grpc.insecure_channel(
        daemon.address
    ) as channel:
        peers.Client(channel).execute("say", {"line": 'a "b" \x1b[31m=\\ c'})
        daemon.await_event("worker.output")
    line = next(x for x in daemon.log().splitlines() if "event=worker.output" in x)
    assert line.startswith("ts=20") and "level=info" in line
    assert "\x1b" not in daemon.log()
    assert all(x.startswith("ts=") for x in daemon.log().splitlines())


def lines_of(daemon, event):
    lines = [json.loads(line) for line in daemon.log().splitlines()]
    return [line for line in lines if line.get("event") == event]


def test_json_has_the_fields_in_their_order(tmp_path):
    order = ["ts", "level", "msg", "event", "pool", "worker", "pid", "gen", "session", "call",
             "tool", "dur_ms", "code", "err", "node", "trace_id"]
    with daemons.running(tmp_path, "--log-format", "json") as daemon:
        daemon.terminate()
        assert daemon.wait() == 0
    for line in (json.loads(x) for x in daemon.log().splitlines()):
        fixed = [key for key in line if key in order]
        assert fixed == sorted(fixed, key=order.index)
        assert list(line)[: len(fixed)] == fixed
    ready = lines_of(daemon, "worker.ready")[0]
    assert (ready["pool"], ready["worker"], ready["level"]) == ("default", 0, "info")
    assert ready["pid"] > 0 and ready["dur_ms"] > 0


def test_secrets_that_workers_print_are_taken_out(tmp_path):
    top = ['log: {redact: ["card [0-9]+"]}']
    with daemons.running(tmp_path, top=top) as daemon, grpc.insecure_channel(
        daemon.address
    ) as channel:
        client = peers.Client(channel)
        client.execute("say", {"line": "password=hunter2 card 1234 https://u:pw9@h/ fine"})
        client.execute("say", {"line": '{"api_key": "abcd"}'})
        daemon.await_event("worker.output", 2)
    for secret in ("hunter2", "1234", "pw9", "abcd"):
        assert secret not in daemon.log()
    assert daemon.log().count("[redacted]") == 4
    assert "fine" in daemon.log()


def test_a_flood_of_lines_is_cut_and_counted(tmp_path):
    top = ["log: {rate: 5, rate_interval: 1h}"]
    with daemons.running(tmp_path, top=top) as daemon, grpc.insecure_channel(
        daemon.address
    ) as channel:
        client = peers.Client(channel)
        client.execute("say", {"line": "\n".join(["x"] * 199 + ["last"])})
        daemon.terminate()
        daemon.wait()
    assert daemon.events().count("worker.output") == 5
    dropped = next(x for x in daemon.log().splitlines() if "event=log.dropped" in x)
    assert 'of="worker.output default/0" dropped=195' in dropped


def test_output_says_where_it_was_printed_and_during_which_call(tmp_path):
    with daemons.running(tmp_path, "--log-format", "json", size=2) as daemon, grpc.insecure_channel(
        daemon.address
    ) as channel:
        client = peers.Client(channel)
        for i in range(200):
            client.execute("say", {"line": f"line {i}"}, session_id=f"s-{i}")
            client.execute("warn", {"line": f"warning {i}"}, session_id=f"s-{i}")
        daemon.terminate()
        assert daemon.wait() == 0
    lines = lines_of(daemon, "worker.output")
    assert len(lines) == 400
    for line in lines:
        kind, number = line["msg"].split()
        assert line["stream"] == ("stdout" if kind == "line" else "stderr")
        assert (line["gen"], line["worker"] in (0, 1)) == (1, True)
        assert line["session"] == f"s-{number}" and line["call"] > 0
        assert line["tool"] == ("say" if kind == "line" else "warn")


def test_of_several_calls_at_once_none_is_guessed(tmp_path):
    adapter = str(Path(__file__).with_name("threaded_adapter.py"))
    with daemons.running(
        tmp_path, "--log-format", "json", adapter=adapter, profile="thread", threads=2
    ) as daemon, grpc.insecure_channel(daemon.address) as channel:
        client = peers.Client(channel)
        held = client.open_stream("stay", {"name": "a"})
        next(held)
        client.execute("print_lines", {"name": "between", "count": 1})
        held.cancel()
        daemon.terminate()
        daemon.wait()
    (line,) = [x for x in lines_of(daemon, "worker.output") if x["stream"] == "stdout"]
    assert line["msg"] == "between 0" and not {"call", "tool", "session"} & set(line)


def test_failed_and_slow_calls_are_logged(tmp_path):
    top = ["log: {slow_call: 50ms}"]
    with daemons.running(tmp_path, "--log-format", "json", top=top) as daemon, grpc.insecure_channel(
        daemon.address
    ) as channel:
        client = peers.Client(channel)
        for tool in ("fail", "crash"):
            with pytest.raises(grpc.RpcError):
                client.execute(tool, session_id="s")
        client.execute("pause", {"seconds": 0.1})
        client.execute("where")
        daemon.terminate()
        daemon.wait()
    failed, crashed = lines_of(daemon, "call.failed")
    assert (failed["tool"], failed["code"], failed["level"]) == ("fail", "SP-REMOTE", "warn")
    assert failed["session"] == "s" and failed["call"] > 0 and "err" in failed
    assert (crashed["tool"], crashed["code"]) == ("crash", "SP-WORKER-DIED")
    slow = [line for line in lines_of(daemon, "call.slow") if line["tool"] == "pause"]
    assert len(slow) == 1 and slow[0]["dur_ms"] >= 100


def test_a_wrong_expression_of_the_log_is_told(tmp_path):
    config = daemons.write_config(tmp_path, top=['log: {redact: ["[0-9"]}'])
    daemon = daemons.Daemon(tmp_path, config)
    try:
        assert daemon.wait() == 78
    finally:
        daemon.end()
    assert "log.redact" in daemon.log() and "code=SP-CONFIG" in daemon.log()


def test_a_warning_has_the_level_of_one(tmp_path):
    top = ["sessions: {max: 4, warn: 0.5}", "log: {level: warn}"]
    with daemons.running(tmp_path, top=top) as daemon, grpc.insecure_channel(
        daemon.address
    ) as channel:
        client = peers.Client(channel)
        for name in ("a", "b", "c"):
            request = client.pb.InitializeSessionRequest(session_id=name)
            client.bridge.InitializeSession(request, timeout=peers.DEADLINE_S)
        daemon.await_event("sessions.high")
    line = next(x for x in daemon.log().splitlines() if "event=sessions.high" in x)
    assert "level=warn" in line


def test_debug_logs_what_info_leaves_out(tmp_path):
    for level, is_told in (("info", False), ("debug", True)):
        with daemons.running(tmp_path / level, "--log-level", level) as daemon:
            daemon.await_event("worker.ready")
        assert ("worker.spawned" in daemon.events()) == is_told


# ---- descriptors ----


def test_a_thousand_connections_with_64_descriptors(tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    with daemons.running(tmp_path, size=2, preexec_fn=limit) as daemon, grpc.insecure_channel(
        daemon.address
    ) as channel:
        client = peers.Client(channel)
        held = client.open_stream("blocking", {"path": str(tmp_path / "stream")})
        next(held)  # a call of its own keeps this client from being idle
        right = 0
        others = []
        for i in range(1000):
            other = socket.socket(socket.AF_UNIX)
            other.connect(str(daemon.socket))
            others.append(other)
            if i % 20 == 0:
                right += client.execute("add", {"a": i, "b": 1}) == i + 1
        assert right == 50
        for other in others:
            other.close()
        with grpc.insecure_channel(daemon.address) as fresh:
            peers.cli_tool.wait_until(
                lambda: _echo_works(fresh), "a new client to be served"
            )
        held.cancel()
        daemon.terminate()
        assert daemon.wait() in (0, CUT)


def _echo_works(channel):
    try:
        return peers.Client(channel).execute("echo", {"value": 5}) == 5
    except grpc.RpcError:
        return False


# ---- the unit ----


def unit():
    path = daemons.peers.BUILD / "daemon" / "snakepitd.service"
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(path)
    return path, parser


def test_the_unit_asks_for_what_the_daemon_does():
    _, parser = unit()
    service = parser["Service"]
    assert service["Type"] == "notify"
    assert service["WatchdogSec"]
    assert service["KillMode"] == "mixed"
    assert service["Delegate"] == "yes"
    assert int(service["LimitNOFILE"]) >= 4096
    assert service["RestartPreventExitStatus"] == str(WRONG_CONFIG)
    assert service["ExecStart"].split()[0].endswith("/snakepitd")
    assert parser["Install"]["WantedBy"] == "multi-user.target"


def test_systemd_accepts_the_unit(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    path, _ = unit()
    copy = tmp_path / "snakepitd.service"
    text = path.read_text()
    start = next(x for x in text.splitlines() if x.startswith("ExecStart="))
    copy.write_text(text.replace(start, f"ExecStart={daemons.SNAKEPITD}"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)],
        capture_output=True, text=True, check=False, timeout=peers.DEADLINE_S,
    )  # fmt: skip
    mine = [x for x in done.stderr.splitlines() if "snakepitd" in x]
    assert not mine
