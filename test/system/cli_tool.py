# SPDX-License-Identifier: MIT
"""Running the `snakepit` command in tests.

Every run carries a mark of its own in the environment, which its workers inherit; when
the command has ended nobody with that mark may be left.
"""

import json
import os
import pty
import select
import signal
import subprocess
import time
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ.get("SNAKEPIT_BUILD", ROOT / "build")).resolve()
SNAKEPIT = BUILD / "snakepit"
PYTHON = "/usr/bin/python3"
DEADLINE = 60


def environment(mark, **more):
    env = {k: v for k, v in os.environ.items() if not k.startswith("SNAKEPIT_")}
    env.update(SNAKEPIT_PYTHON=PYTHON, SNAKEPIT_TEST_MARK=mark, LC_ALL="C.UTF-8",
               PYTHONDONTWRITEBYTECODE="1")
    env.pop("NO_COLOR", None)
    # A sanitizer's library must be in the workers' interpreter before the bridge is.
    if "SNAKEPIT_TEST_PRELOAD" in os.environ:
        env["LD_PRELOAD"] = os.environ["SNAKEPIT_TEST_PRELOAD"]
    env.update({k: v for k, v in more.items() if v is not None})
    return {k: v for k, v in env.items() if v != ""}


def marked(mark):
    """Pids of living processes that carry the mark."""
    wanted = f"SNAKEPIT_TEST_MARK={mark}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            pass  # it ended, or is none of ours
    return found


def wait_until(condition, what, deadline=DEADLINE):
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"waited {deadline} s for {what}"
        time.sleep(0.01)


def nobody_left(mark):
    wait_until(lambda: not marked(mark), "the last process to end", 10)


class Done:
    """How a command ended."""

    def __init__(self, code, out, err):
        self.code = code
        self.out = out
        self.err = err

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def lines(self):
        return self.out.splitlines()

    @property
    def error(self):
        """The JSON error: the last line of standard error with -o json."""
        return json.loads(self.err.splitlines()[-1])["error"]


def snakepit(*args, cwd=None, stdin=None, env=None, binary=False):
    """Run to the end; nothing may be left of it."""
    mark = uuid.uuid4().hex
    process = subprocess.run(
        [SNAKEPIT, *map(str, args)], cwd=cwd or "/", env=environment(mark, **(env or {})),
        input=stdin if stdin is None or binary else stdin.encode(),
        stdin=None if stdin is not None else subprocess.DEVNULL,
        capture_output=True, timeout=DEADLINE, check=False)
    nobody_left(mark)
    out = process.stdout if binary else process.stdout.decode()
    return Done(process.returncode, out, process.stderr.decode())


class Started:
    """A command that runs, in its own process group as a shell starts it."""

    def __init__(self, *args, cwd=None, env=None, stdin=subprocess.DEVNULL):
        self.mark = uuid.uuid4().hex
        self.process = subprocess.Popen(
            [SNAKEPIT, *map(str, args)], cwd=cwd or "/",
            env=environment(self.mark, **(env or {})), stdin=stdin,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE)
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.stdout.close()
        self.process.stderr.close()
        nobody_left(self.mark)

    def send(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def line(self):
        return self.process.stdout.readline().decode()

    def signal(self, number=signal.SIGINT):
        self.process.send_signal(number)

    def end(self):
        out, err = self.process.communicate(timeout=DEADLINE)
        nobody_left(self.mark)
        return Done(self.process.returncode, out.decode(), err.decode())


def on_terminal(*args, cwd=None, env=None, out_is_terminal=True):
    """Run with standard error (and output) on a terminal; gives the exit code, what the
    terminal showed, and standard output when that was a pipe."""
    mark = uuid.uuid4().hex
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [SNAKEPIT, *map(str, args)], cwd=cwd or "/",
        env=environment(mark, **{"TERM": "xterm", **(env or {})}),
        stdin=subprocess.DEVNULL, stdout=slave if out_is_terminal else subprocess.PIPE,
        stderr=slave, start_new_session=True)
    os.close(slave)
    shown = b""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        ready, _, _ = select.select([master], [], [], 1)
        if not ready:
            continue
        try:
            data = os.read(master, 65536)
        except OSError:  # the last user of the terminal has gone
            break
        if not data:
            break
        shown += data
    out = b""
    if not out_is_terminal:
        out = process.stdout.read()
        process.stdout.close()
    code = process.wait(DEADLINE)
    os.close(master)
    nobody_left(mark)
    return code, shown.decode(), out.decode()
