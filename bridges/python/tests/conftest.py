# SPDX-License-Identifier: MIT
"""Workers to test against: real processes that listen on a unix socket, driven by a
stock gRPC client generated from our own proto files.

Run with the built package on the path:

    PYTHONPATH=<build>/bridges/python /usr/bin/python3 -m pytest bridges/python/tests

SNAKEPIT_TEST_PYTHON and SNAKEPIT_TEST_PACKAGE name another interpreter, and the package
built for it, for the worker processes: the client then needs gRPC, the worker does not.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import snakepit_bridge

PYTHON = os.environ.get("SNAKEPIT_TEST_PYTHON", sys.executable)
PACKAGE = Path(
    os.environ.get(
        "SNAKEPIT_TEST_PACKAGE", Path(snakepit_bridge.__file__).parent.parent
    )
)
PROTO = Path(__file__).resolve().parents[3] / "proto"
DEADLINE = 20.0  # seconds for anything that should take none


@pytest.fixture(scope="session")
def stubs(tmp_path_factory):
    """The messages and client of bridge.proto, generated for this run."""
    pytest.importorskip("grpc")
    plugin = Path("/usr/bin/grpc_python_plugin")
    if not plugin.exists():
        pytest.skip("protobuf-compiler-grpc is not installed")
    folder = tmp_path_factory.mktemp("stubs")
    subprocess.run(
        [
            "protoc",
            f"-I{PROTO}",
            f"--python_out={folder}",
            f"--plugin=protoc-gen-grpc={plugin}",
            f"--grpc_out={folder}",
            "snakepit/bridge.proto",
        ],
        check=True,
    )
    sys.path.insert(0, str(folder))
    try:
        from snakepit import bridge_pb2, bridge_pb2_grpc
    finally:
        sys.path.remove(str(folder))
    return bridge_pb2, bridge_pb2_grpc


class Failed(Exception):
    """success=false: what the tool raised."""

    def __init__(self, text):
        self.story = json.loads(text)
        super().__init__(self.story["message"])


class Client:
    """A stock client of one worker."""

    def __init__(self, address, stubs):
        import grpc

        self.pb2, pb2_grpc = stubs
        self.channel = grpc.insecure_channel(
            address, options=[("grpc.max_receive_message_length", 256 << 20)]
        )
        self.stub = pb2_grpc.BridgeServiceStub(self.channel)

    def close(self):
        self.channel.close()

    def request(self, tool, args, session="", binary=None, metadata=None):
        request = self.pb2.ExecuteToolRequest(
            tool_name=tool,
            session_id=session,
            binary_parameters=binary or {},
            metadata=metadata or {},
        )
        for name, value in args.items():
            parameter = request.parameters[name]
            parameter.type_url = "type.googleapis.com/google.protobuf.StringValue"
            parameter.value = json.dumps(value).encode()
        return request

    def execute(self, tool, args, timeout=DEADLINE, **extra):
        """The whole response."""
        return self.stub.ExecuteTool(self.request(tool, args, **extra), timeout=timeout)

    def call(self, tool, /, **args):
        response = self.execute(tool, args)
        if not response.success:
            raise Failed(response.error_message)
        return json.loads(response.result.value)

    def open_stream(self, tool, timeout=DEADLINE, **args):
        return self.stub.ExecuteStreamingTool(self.request(tool, args), timeout=timeout)

    def stream(self, tool, /, **args):
        """Every chunk with data, decoded."""
        return [json.loads(c.data) for c in self.open_stream(tool, **args) if c.data]

    def ping(self, timeout=DEADLINE):
        return self.stub.Ping(
            self.pb2.PingRequest(message="x"), timeout=timeout
        ).message

    def health(self):
        check = self.channel.unary_unary("/grpc.health.v1.Health/Check")
        return check(b"", timeout=DEADLINE)


class Process:
    """A worker process and what it has written."""

    def __init__(self, arguments, cwd, env, pass_fds=()):
        self.process = subprocess.Popen(
            [PYTHON, *arguments],
            cwd=cwd,
            env=env,
            pass_fds=pass_fds,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.output = ""

    @property
    def pid(self):
        return self.process.pid

    def wait_for(self, text, timeout=DEADLINE):
        """Read until the text has appeared."""
        ends = time.monotonic() + timeout
        stdout = self.process.stdout
        while text not in self.output:
            ready, _, _ = select.select(
                [stdout], [], [], max(0, ends - time.monotonic())
            )
            data = os.read(stdout.fileno(), 65536) if ready else b""
            self.output += data.decode("utf-8", "replace")
            if not data:
                raise AssertionError(f"no {text!r} in: {self.output}")
        return self.output

    def wait(self, timeout=DEADLINE):
        """The exit status; everything written is in output."""
        data, _ = self.process.communicate(timeout=timeout)
        self.output += data.decode("utf-8", "replace")
        return self.process.returncode

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


class Worker(Process):
    """A worker that listens, and a client of it."""

    def __init__(self, command, folder, stubs, env, number):
        address = f"unix:{folder}/worker-{number}.sock"
        super().__init__(command, folder, {**env, "SNAKEPIT_LISTEN": address})
        self.wait_for("listening on")
        self.client = Client(address, stubs)

    def end(self):
        self.client.close()
        super().end()


def environment(**changes):
    env = dict(os.environ)
    env.pop("PYTHONPATH", None)  # the start script finds its package itself
    env.update(changes)
    # Where a sanitizer is preloaded, crashes stay the interpreter's to report.
    env["ASAN_OPTIONS"] = env.get("ASAN_OPTIONS", "") + ":handle_segv=0"
    return env


@pytest.fixture
def start(stubs, tmp_path):
    """Start a worker: start(adapter, {file name: text}, NAME=value ...), or with
    script= a script that is one by itself."""
    workers = []

    def start_one(adapter, files=None, arguments=(), script=None, **env):
        for name, text in (files or {}).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        if script is None:
            script = str(PACKAGE / "snakepit_worker.py")
            arguments = ["--adapter", adapter, *arguments]
        command = [script, *arguments]
        worker = Worker(command, tmp_path, stubs, environment(**env), len(workers))
        workers.append(worker)
        return worker

    yield start_one
    for worker in workers:
        worker.end()


@pytest.fixture
def showcase(start):
    """The client of a worker with the showcase."""
    return start("showcase").client
