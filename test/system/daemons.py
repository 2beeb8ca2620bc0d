# SPDX-License-Identifier: MIT
"""Running `snakepitd` in tests: started as a service manager would, spoken to over gRPC."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import time

import peers

SNAKEPITD = peers.BUILD / "snakepitd"
PROBE = peers.HERE / "workers" / "python" / "probe.py"
DEADLINE_S = peers.DEADLINE_S


class Manager:
    """The other end of $NOTIFY_SOCKET."""

    def __init__(self, name):
        self.name = str(name)  # a path, or "@name" for an abstract one
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.name.replace("@", "\0", 1))
        self.said = []

    def close(self):
        self.socket.close()

    def next(self, deadline_s=DEADLINE_S):
        """The next datagram, or None when none comes in time."""
        if not select.select([self.socket], [], [], deadline_s)[0]:
            return None
        self.said.append(self.socket.recv(4096).decode())
        return self.said[-1]

    def await_line(self, wanted):
        """Until a datagram has this line, or one that begins with it."""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            text = self.next(end - time.monotonic())
            if text is not None and any(x.startswith(wanted) for x in text.split("\n")):
                return text
        raise AssertionError(f"never said: {wanted}; said: {self.said}")


def write_config(place, **settings):
    """A configuration with one pool of probes; `top`: further lines, `more`: pools."""
    place.mkdir(exist_ok=True)
    more = settings.pop("more", [])
    lines = [
        f"instance: {settings.pop('instance', f'test-{os.getpid()}-{place.name}')}"[:74],
        "listen:",
        f"  socket: {place}/s/pit.sock",
    ]
    lines += [f"  {key}: {value}" for key, value in settings.pop("listen", {}).items()]
    lines += settings.pop("top", [])
    lines += ["pools:", "  - name: default"]
    if "runtime" not in settings:
        settings.setdefault("adapter", f"{PROBE}:Probe")
    settings.setdefault("size", 1)
    if "LD_PRELOAD" in peers.ENVIRONMENT:
        settings.setdefault("env", {"set": {"LD_PRELOAD": peers.ENVIRONMENT["LD_PRELOAD"]}})
    lines += [f"    {key}: {json.dumps(value)}" for key, value in settings.items()]
    lines += [f"  - {json.dumps(pool)}" for pool in more]
    path = place / "snakepit.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


class Daemon:
    """One run of snakepitd."""

    def __init__(self, place, config, *options, environment=None, notify=None, **popen):
        self.place = place
        self.socket = place / "s" / "pit.sock"
        self.manager = Manager(notify or place / "notify")
        env = dict(peers.ENVIRONMENT, NOTIFY_SOCKET=self.manager.name)
        env["SNAKEPIT_RUNTIME_DIR"] = str(place / "run")
        env["SNAKEPIT_STATE_DIR"] = str(place / "state")
        env.update(environment or {})
        self.log_path = place / "log"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [str(SNAKEPITD), "--config", str(config), *options],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=env,
                start_new_session=True,
                **popen,
            )

    @property
    def address(self):
        return f"unix:{self.socket}"

    def log(self):
        return self.log_path.read_text(encoding="utf-8")

    def events(self):
        """The event of each line, in order."""
        return [w[6:] for line in self.log().splitlines() for w in line.split(" ")
                if w.startswith("event=")]

    def await_event(self, name, count=1):
        end = time.monotonic() + DEADLINE_S
        while self.events().count(name) < count:
            assert time.monotonic() < end, f"never logged {name}:\n{self.log()}"
            time.sleep(0.01)

    def await_ready(self):
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            text = self.manager.next(0.5)
            if text is not None and "READY=1" in text.split("\n"):
                return
            assert self.process.poll() is None, f"it has ended:\n{self.log()}"
        raise AssertionError(f"never ready:\n{self.log()}")

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self):
        return self.process.wait(DEADLINE_S)

    def end(self):
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
        self.process.wait(DEADLINE_S)
        self.process.stdout.close()
        self.manager.close()


@contextlib.contextmanager
def running(place, *options, **settings):
    """A daemon that is ready, ended with the block."""
    keys = ("environment", "notify", "preexec_fn", "wait")
    run = {k: settings.pop(k) for k in keys if k in settings}
    wait = run.pop("wait", True)
    daemon = Daemon(place, write_config(place, **settings), *options, **run)
    try:
        if wait:
            daemon.await_ready()
        yield daemon
    finally:
        daemon.end()
