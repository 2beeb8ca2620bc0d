# SPDX-License-Identifier: MIT
"""snakepit top: tables of a daemon once, as JSON, and the screen in a real terminal."""

import contextlib
import json
import shutil
import subprocess
import uuid

import daemons
import pytest
from cli_tool import SNAKEPIT, Started, environment, snakepit, wait_until

POOLS = [{"name": "other", "adapter": "showcase", "size": 2}]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    with daemons.running(tmp_path_factory.mktemp("top"), more=POOLS) as running:
        yield running


def top(daemon, *args, **more):
    return snakepit("top", "--connect", daemon.address, "--delay", "100ms", *args, **more)


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_tables_fit_the_width(daemon, columns):
    done = top(daemon, "--once", env={"COLUMNS": str(columns)})
    assert (done.code, done.err) == (0, "")
    head, _, pools, *rest = done.lines
    assert " running  up " in head and "3/3 workers" in head
    assert pools.split()[:3] == ["POOL", "STATE", "RDY/BSY/STR"]
    assert {line.split()[0] for line in rest if line} == {
        "default", "other", "WORKER", "default/0", "other/0", "other/1"}
    assert all(len(line) <= max(columns, 60) for line in done.lines[2:])
    # Wide enough for everything, or for what matters.
    assert ("ADAPTER" in pools) == (columns == 200)
    assert ("ERR/s" in pools) == (columns >= 80)


def test_without_a_terminal_it_is_once(daemon):
    assert top(daemon).lines[2].startswith("POOL")


def test_as_json_with_what_there_is_a_second(daemon):
    status = json.loads(top(daemon, "-o", "json").out)
    assert status["interval_s"] >= 0.1
    assert [pool["calls_per_second"] for pool in status["pools"]] == [0, 0]
    assert [pool["p99_s"] for pool in status["pools"]] == [None, None]
    [worker] = status["pools"][0]["worker_list"]
    assert worker["calls_per_second"] == 0 and worker["pid"] > 0


def test_what_ends_between_two_samples_is_measured(daemon, tmp_path):
    """A load for as long as it takes: the tables are about what happens meanwhile."""
    with Started("bench", "echo", "value=1", "--connect", daemon.address, "--in-flight", "4",
                 "--duration", "60s", cwd=tmp_path) as load:
        def is_seen():
            pool = json.loads(top(daemon, "-o", "json").out)["pools"][0]
            assert load.process.poll() is None
            # Calls count as they come, quantiles are of those that have ended.
            if not pool["calls_per_second"] or pool["p50_s"] is None:
                return False
            assert 0 < pool["p50_s"] <= pool["p99_s"]
            return True
        wait_until(is_seen, "calls in the sample")
        load.process.terminate()


@pytest.mark.parametrize("args, code, words", [
    (["--sort", "mem"], 2, 'cannot sort by "mem", did you mean memory'),
    (["--delay", "10ms"], 2, "100ms to 1h"),
    (["--delay", "2h"], 2, "1h"),
    (["x"], 2, 'takes no "x"'),
    (["--connect", "unix:/nowhere/sock"], 3, "/nowhere/sock"),
])
def test_what_it_does_not_take(args, code, words):
    done = snakepit("top", *args)
    assert (done.code, done.out) == (code, "")
    assert words in done.err


def test_without_a_daemon_there_is_nothing_to_watch(tmp_path):
    done = snakepit("top", cwd=tmp_path, env={"SNAKEPIT_RUNTIME_DIR": str(tmp_path / "run")})
    assert done.code == 3
    assert "no daemon runs here" in done.err


# --- on a terminal ---------------------------------------------------------------------


class Terminal:
    """A terminal of tmux in which one command runs."""

    def __init__(self, columns, rows, *command, **env):
        self.name = uuid.uuid4().hex
        env = environment(self.name, **env)
        words = [f"{key}={env[key]}" for key in env if key not in ("TERM", "TMUX")]
        term = [f"TERM={env['TERM']}"] if "TERM" in env else []
        self.tmux("new-session", "-d", "-x", str(columns), "-y", str(rows),
                  "env", "-i", *words, *term, "sh", "-c",
                  f"trap : INT; {' '.join(map(str, command))}; echo ended $?; cat")

    def tmux(self, *args):
        return subprocess.run(["tmux", "-L", self.name, "-f", "/dev/null", *args], check=True,
                              capture_output=True, text=True, timeout=60).stdout  # fmt: skip

    def lines(self):
        return self.tmux("capture-pane", "-p").splitlines()

    def press(self, *keys):
        self.tmux("send-keys", *keys)

    def shows(self, condition, what):
        wait_until(lambda: condition(self.lines()), f"{what}; it shows {self.lines()}")
        return self.lines()


@contextlib.contextmanager
def terminal(daemon, *args, columns=80, rows=24, **env):
    if shutil.which("tmux") is None:
        pytest.skip("needs tmux")
    shown = Terminal(columns, rows, SNAKEPIT, "top", "--delay", "100ms", "--connect",
                     daemon.address, *args, **{"TERM": "screen", **env})
    try:
        yield shown
    finally:
        shown.tmux("kill-server")


def has(text):
    return lambda lines: any(text in line for line in lines)


def workers(lines):
    """Those that have a row."""
    return [line.split()[0] for line in lines if line.startswith(("default/", "other/"))]


def test_a_screen_with_keys(daemon):
    with terminal(daemon) as shown:
        lines = shown.shows(has("other/1"), "the workers")
        assert lines[0].startswith("snakepit test-")
        assert lines[2].startswith("POOL") and "q end" in lines[-1]
        shown.press("Down", "Enter")
        shown.shows(lambda lines: lines[0] == "worker other/0", "what there is of one worker")
        shown.press("Escape")
        shown.shows(has("POOL"), "the tables")
        shown.press("s")
        lines = shown.shows(lambda lines: lines[0].startswith("other/0  pid "), "its stack")
        assert has("snakepit_worker.py")(lines)
        shown.press("?")
        shown.shows(lambda lines: lines[0] == "Keys", "the keys")
        shown.press("Escape")
        shown.shows(has("POOL"), "the tables")
        shown.press("/", "other/1", "Enter")
        shown.shows(lambda lines: workers(lines) == ["other/1"], "the filter at work")
        shown.press("o")
        shown.shows(has("o sort (calls)"), "another order")
        shown.press("p")
        shown.shows(has("p go on"), "that it has stopped")
        shown.press("q")
        shown.shows(has("ended 0"), "its end")


def pid_of(lines, worker):
    return next(line.split()[1] for line in lines if line.startswith(worker))


@pytest.mark.parametrize("columns", [80, 200])
def test_keys_for_the_chosen_worker(tmp_path, columns):
    with daemons.running(tmp_path) as daemon, terminal(daemon, columns=columns) as shown:
        lines = shown.shows(has("default/0"), "the worker")
        for key in ("l log", "D drain", "K kill", "? help", "o sort"):
            assert key in lines[-1]
        pid = pid_of(lines, "default/0")
        shown.press("l")
        shown.shows(has("default/0 python 3"), "what was logged of it")
        assert "esc back" in shown.lines()[-1]
        shown.press("Escape")
        shown.shows(has("POOL"), "the tables")
        shown.press("K")
        shown.shows(has(f"kill default/0 (pid {pid}) with its calls?"), "a question")
        shown.press("n")
        shown.shows(has("default/0 lives on"), "that nothing happened")
        assert pid_of(shown.lines(), "default/0") == pid
        shown.press("K", "y")
        shown.shows(has(f"default/0 (pid {pid}) is killed"), "that it is killed")
        shown.shows(lambda lines: pid_of(lines, "default/0") not in (pid, "0")
                    and has(" ready ")(lines), "the next one")
        second = pid_of(shown.lines(), "default/0")
        shown.press("D")
        shown.shows(has("is drained: a fresh one takes its place"), "that it is drained")
        shown.shows(lambda lines: second not in str(lines[:-1]) and has(" ready ")(lines),
                    "the third one, in the place of a relief")
        shown.press("q")
        shown.shows(has("ended 0"), "its end")


def test_the_screen_follows_the_terminals_size(daemon):
    with terminal(daemon) as shown:
        shown.shows(lambda lines: has("POOL")(lines) and not has("ADAPTER")(lines), "80 columns")
        shown.tmux("resize-window", "-x", "200", "-y", "12")
        shown.shows(has("ADAPTER"), "200 columns")
        shown.tmux("resize-window", "-x", "30", "-y", "5")
        shown.shows(lambda lines: len(lines) == 5 and has("snakepit")(lines), "5 rows")


@pytest.mark.parametrize("env", [{"LC_ALL": "C", "TERM": "vt100"}, {"NO_COLOR": "1"}])
def test_other_terminals(daemon, env):
    with terminal(daemon, **env) as shown:
        shown.shows(has("other/1"), "the workers")
        shown.press("C-c")
        shown.shows(has("ended 130"), "its end")


def test_a_terminal_that_cannot_place_text_gets_tables_again_and_again(daemon):
    with terminal(daemon, TERM="dumb", rows=60) as shown:
        shown.shows(lambda lines: sum(line.startswith("POOL") for line in lines) >= 2,
                    "two samples")
        shown.press("C-c")
        shown.shows(has("ended 130"), "its end")


def test_a_daemon_that_goes_is_told_and_one_that_comes_is_shown(tmp_path):
    with daemons.running(tmp_path) as first, terminal(first) as shown:
        shown.shows(has("default/0"), "the worker")
        first.terminate()
        assert first.wait() == 0
        shown.shows(lambda lines: "q end" not in lines[-1], "that nobody is there")
        with daemons.running(tmp_path, notify=tmp_path / "again"):
            shown.shows(lambda lines: "q end" in lines[-1], "the next daemon")
