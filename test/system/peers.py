# SPDX-License-Identifier: MIT
"""What the tests with foreign peers share: places, programs, generated code, notes.

Nothing here sleeps: a test waits for a line of output, a note, or the end of a process,
each with a deadline.
"""

import contextlib
import ctypes
import json
import os
import queue
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import cli_tool

ROOT = cli_tool.ROOT
BUILD = cli_tool.BUILD
CLI = cli_tool.SNAKEPIT
HERE = ROOT / "test" / "system"
PYTHON = cli_tool.PYTHON
WORKER = BUILD / "bridges" / "python" / "snakepit_worker.py"
DEADLINE_S = 60
PACKAGES = HERE / "site-packages"  # of requirements.txt
INSTALL = "`tools/setup test` installs it from PyPI"
ENVIRONMENT = cli_tool.environment("peers")
UNLIMITED = [  # of a grpcio channel
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
]

# ---- notes: what a worker says about itself, through a FIFO ----


class Notes:
    """Lines that other processes write; reading them waits, with a deadline."""

    def __init__(self, path):
        self.path = Path(path)
        os.mkfifo(self.path)
        # Both ways, so that there is no end of file between two writers.
        self._fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        self._rest = b""

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        os.close(self._fd)
        self.path.unlink()

    def next(self, deadline_s=DEADLINE_S):
        """The next line; AssertionError when none comes in time."""
        end = time.monotonic() + deadline_s
        while b"\n" not in self._rest:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._fd], [], [], left)[0]:
                raise AssertionError("no note came in time")
            self._rest += os.read(self._fd, 4096)
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()

    def wait_for(self, wanted):
        """Read until this line comes."""
        while self.next() != wanted:
            pass


# ---- processes ----


def end(process):
    """End a process and everything it started in its session, whatever it does."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(DEADLINE_S)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


@contextlib.contextmanager
def running(*command, **options):
    """A process in a session of its own, ended with the block."""
    options.setdefault("env", ENVIRONMENT)
    process = subprocess.Popen(
        [str(word) for word in command], start_new_session=True, **options
    )
    try:
        yield process
    finally:
        end(process)


def run(*command, **options):
    """Run a program to its end; returns the CompletedProcess, with text."""
    options.setdefault("env", ENVIRONMENT)
    return subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
        **options,
    )


def line_of(process, deadline_s=DEADLINE_S):
    """The next line a process prints; AssertionError when none comes in time."""
    if not select.select([process.stdout], [], [], deadline_s)[0]:
        raise AssertionError("the process printed nothing in time")
    line = process.stdout.readline()
    return line.decode() if isinstance(line, bytes) else line


@contextlib.contextmanager
def packages():
    """What requirements.txt names can be imported; what is not there is a skip."""
    import pytest

    sys.path.insert(0, str(PACKAGES))
    try:
        yield
    except ImportError as error:
        pytest.skip(f"{error}: {INSTALL}")
    finally:
        sys.path.remove(str(PACKAGES))


# ---- our host, through its command line ----


class Host:
    """Calls through `snakepit`, with a configuration."""

    def __init__(self, config):
        self.config = str(config)

    def command(self, verb, tool, args=None, *options):
        words = [str(CLI), verb, "--config", self.config, "-o", "json", "--quiet"]
        words += [*options, tool]
        return words + ([] if args is None else [json.dumps(args)])

    def call(self, tool, args=None, *options):
        """The result of a call that must succeed."""
        done = run(*self.command("call", tool, args, *options))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def stream(self, tool, args=None, *options):
        """The chunks of a stream that must come to its end."""
        done = run(*self.command("stream", tool, args, *options))
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def fail(self, tool, args=None, *options, verb="call"):
        """What is said of a call that must fail, and the chunks before it."""
        done = run(*self.command(verb, tool, args, *options))
        assert done.returncode != 0, done.stdout
        error = json.loads(done.stderr.splitlines()[-1])["error"]
        assert error["exit"] == done.returncode
        error["chunks"] = [json.loads(line) for line in done.stdout.splitlines()]
        return error

    def script(self, lines, *options):
        """The results of many calls on one pit."""
        done = run(
            CLI, "run", "-", "--config", self.config, "--quiet", *options,
            input="\n".join(lines) + "\n",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


def stock_pool(place, command, **settings):
    """A Host whose only pool is a stock gRPC worker: `command` gets "{address}"."""
    lines = ["pools:", "  - name: stock", "    runtime: grpc", "    size: 1"]
    lines += [f"    {key}: {value}" for key, value in settings.items()]
    lines.append(f"    command: {json.dumps([str(word) for word in command])}")
    config = Path(place) / "stock.yaml"
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Host(config)


class Bytes(ctypes.Structure):
    """sp_bytes."""

    _fields_ = [("data", ctypes.c_char_p), ("size", ctypes.c_size_t)]

    @classmethod
    def of(cls, value):
        text = json.dumps(value).encode()
        return cls(text, len(text))


class Chunk(ctypes.Structure):
    """sp_chunk."""

    _fields_ = [
        ("data", ctypes.POINTER(ctypes.c_char)),
        ("size", ctypes.c_size_t),
        ("index", ctypes.c_uint64),
        ("binary", ctypes.c_void_p),
        ("binary_bytes", ctypes.c_size_t),
    ]


class CallOptions(ctypes.Structure):
    """The beginning of sp_call_options."""

    _fields_ = [
        ("size", ctypes.c_size_t),
        ("pool", ctypes.c_char_p),
        ("session", ctypes.c_char_p),
        ("timeout_ms", ctypes.c_uint64),
    ]


class Pit:
    """A pit of the C interface, for what the command line ends together with the pit:
    calls and streams that are cut short while it goes on."""

    _RESULT_BYTES = 256  # more than an sp_result has

    def __init__(self, config):
        self._lib = ctypes.CDLL(str(BUILD / "libsnakepit.so"))
        self._lib.sp_strerror.restype = ctypes.c_char_p
        self._pit = ctypes.c_void_p()
        self._must(
            self._lib.sp_pit_open_file(
                str(config).encode(), ctypes.byref(self._pit), None
            )
        )
        # A deadline of a test shall not pass while the worker still starts.
        self._must(self._lib.sp_pit_await_ready(self._pit, ctypes.c_uint64(0), None))

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self._lib.sp_pit_close(self._pit)

    def _must(self, rc):
        assert rc >= 0, self._lib.sp_strerror(rc).decode()
        return rc

    def start(self, tool, args, timeout_ms=0):
        """Start a call; gives its id."""
        call = ctypes.c_uint64()
        options = CallOptions(ctypes.sizeof(CallOptions), timeout_ms=timeout_ms)
        self._must(
            self._lib.sp_call_start(
                self._pit, tool.encode(), Bytes.of(args), ctypes.byref(options),
                None, None, ctypes.byref(call), None,
            )
        )  # fmt: skip
        return call

    def cancel(self, call):
        self._must(self._lib.sp_call_cancel(self._pit, call, None))

    def wait(self, call):
        """How the call ended: 0 or a code."""
        result = ctypes.create_string_buffer(self._RESULT_BYTES)
        rc = self._lib.sp_call_wait(self._pit, call, result, None)
        self._lib.sp_result_clear(result)
        return rc

    def call(self, tool, args):
        return self.wait(self.start(tool, args))

    @contextlib.contextmanager
    def stream(self, tool, args):
        """Gives a function that returns the next chunk; closes the stream after all."""
        stream = ctypes.c_void_p()
        chunk = Chunk()
        self._must(
            self._lib.sp_stream_open(
                self._pit, tool.encode(), Bytes.of(args), None, ctypes.byref(stream), None
            )
        )

        def following():
            rc = self._must(
                self._lib.sp_stream_next(stream, ctypes.byref(chunk), None)
            )
            return json.loads(chunk.data[: chunk.size]) if rc > 0 else None

        try:
            yield following
        finally:
            self._lib.sp_stream_close(stream)


# ---- our worker, listening ----


@contextlib.contextmanager
def listening_worker(place, adapter=None, program=(PYTHON, WORKER)):
    """Our worker as a gRPC server, in Python or another language; gives its address. A
    program without an adapter finds it in its environment."""
    address = f"unix:{place}/worker.sock"
    words = () if adapter is None else ("--adapter", adapter, "--listen", address)
    environment = {**os.environ, "SNAKEPIT_LISTEN": address}
    with running(*program, *words, env=environment, stdout=subprocess.PIPE) as process:
        assert line_of(process).rstrip().endswith(address)
        yield address


# ---- generated code ----


def make_stubs(place):
    """Python modules of our proto and its friends, into `place` and onto sys.path.

    health and status lie flat: beside a package named grpc, a second grpc/ would never
    be found.
    """
    proto = ROOT / "proto"
    plugin = "--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin"
    flat = [
        proto / "grpc/health/v1/health.proto",
        proto / "google/rpc/status.proto",
        proto / "google/rpc/error_details.proto",
    ]
    out = [f"--python_out={place}", f"--grpc_python_out={place}", plugin]
    for folders, files in (
        ([proto], ["snakepit/bridge.proto", "snakepit/control.proto"]),
        (sorted({file.parent for file in flat}), [file.name for file in flat]),
    ):
        done = run("protoc", *(f"--proto_path={f}" for f in folders), *out, *files)
        assert done.returncode == 0, done.stderr
    if str(place) not in sys.path:
        sys.path.insert(0, str(place))
    return place


class Client:
    """grpcio's side: the modules of make_stubs() and a channel."""

    def __init__(self, channel):
        from snakepit import bridge_pb2, bridge_pb2_grpc

        self.pb = bridge_pb2
        self.channel = channel
        self.bridge = bridge_pb2_grpc.BridgeServiceStub(channel)

    def request(self, tool, arguments=None, **fields):
        request = self.pb.ExecuteToolRequest(tool_name=tool, **fields)
        for name, value in (arguments or {}).items():
            parameter = request.parameters[name]
            parameter.type_url = "type.googleapis.com/google.protobuf.StringValue"
            parameter.value = json.dumps(value).encode()
        return request

    def execute(self, tool, arguments=None, timeout=DEADLINE_S, headers=None, **fields):
        response = self.bridge.ExecuteTool(
            self.request(tool, arguments, **fields), timeout=timeout, metadata=headers
        )
        assert response.success, response.error_message
        return json.loads(response.result.value)

    @contextlib.contextmanager
    def listening(self):
        """The events of a worker from now on, and a queue for what is wished of them."""
        wishes = queue.Queue()
        events = self.bridge.StreamTelemetry(iter(wishes.get, None), timeout=DEADLINE_S)
        events.initial_metadata()
        try:
            yield events, wishes
        finally:
            wishes.put(None)
            events.cancel()

    def open_stream(self, tool, arguments=None, timeout=DEADLINE_S):
        return self.bridge.ExecuteStreamingTool(
            self.request(tool, arguments, stream=True), timeout=timeout
        )


@contextlib.contextmanager
def connected(address):
    """A Client of what serves there."""
    import grpc

    with grpc.insecure_channel(address, options=UNLIMITED) as channel:
        yield Client(channel)


def event_of(address, tool, name):
    """The event of that name which a worker tells of in a call of the tool."""
    with connected(address) as worker, worker.listening() as (events, _):
        assert worker.execute(tool) is True
        return next(event for event in events if list(event.event_parts) == [name])


def failure(call):
    """The RpcError of a call that must fail, its trailers, and what its details say."""
    import grpc

    try:
        call()
    except grpc.RpcError as error:
        trailers = dict(error.trailing_metadata() or ())
        return error, trailers, error_info(trailers)
    raise AssertionError("the call has succeeded")


def error_info(trailers):
    """What the details of a failed call say: the ErrorInfo's pairs, and `trace`."""
    import error_details_pb2
    import status_pb2

    found = {}
    status = status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b""))
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            found.update(info.metadata)
        debug = error_details_pb2.DebugInfo()
        if detail.Unpack(debug):
            found["trace"] = "\n".join(debug.stack_entries)
    return found
