# SPDX-License-Identifier: MIT
"""A worker that behaves on the wire as the original snakepit's own one does, written from
the description of that wire: what the tests of `runtime: grpc_server` talk to.

ORIGINAL_VERSION chooses between the two that matter: "0.6" (ready by a line of its log,
tools run on the event loop, errors as text, every number a float) and "0.13" (ready by a
file, tools run on threads, errors as objects, heartbeats, telemetry). ORIGINAL_STUBS is
the folder of the generated modules.
"""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
import time
import traceback

sys.path.insert(0, os.environ["ORIGINAL_STUBS"])
sys.path.insert(0, ".")  # adapters lie beside the script, in the working directory

import grpc  # noqa: E402
from snakepit import bridge_pb2 as pb  # noqa: E402
from snakepit import bridge_pb2_grpc as pb_grpc  # noqa: E402

IS_NEW = os.environ["ORIGINAL_VERSION"] == "0.13"
STRING_VALUE = "type.googleapis.com/google.protobuf.StringValue"
OPTIONS = [("grpc.max_receive_message_length", 100 << 20),
           ("grpc.max_send_message_length", 100 << 20)]


def arguments():
    """Unknown flags end the process with status 2, as they do there."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--adapter", required=True)
    parser.add_argument("--elixir-address", required=not IS_NEW,
                        default=os.environ.get("SNAKEPIT_GRPC_ADDRESS"))
    parser.add_argument("--snakepit-run-id", default="")
    parser.add_argument("--max-workers", type=int, default=10)
    parser.add_argument("--thread-safety-check", action="store_true")
    return parser.parse_args()


# ---- values ----


def decode(any_):
    return json.loads(any_.value)


def kind_of(value):
    if isinstance(value, dict):
        return "map", value
    if isinstance(value, str):
        return "string", value
    if isinstance(value, bool) and IS_NEW:
        return "boolean", value
    if isinstance(value, (int, float)):
        return "float", float(value)
    if isinstance(value, (list, tuple)):
        return "list", value
    return "string", str(value)


def encode(value, target):
    kind, plain = kind_of(value)
    if plain in (float("inf"), float("-inf")) or plain != plain:
        plain = {float("inf"): "Infinity", float("-inf"): "-Infinity"}.get(plain, "NaN")
    target.type_url = f"type.googleapis.com/snakepit.{kind}"
    target.value = json.dumps(plain).encode()


def error_text(error, request):
    if not IS_NEW:
        return str(error)
    return json.dumps({
        "type": type(error).__name__,
        "message": str(error),
        "stacktrace": traceback.format_tb(error.__traceback__),
        "traceback": "".join(traceback.format_exception(error)),
        "context": {"tool_name": request.tool_name, "session_id": request.session_id},
    })


# ---- what adapters get ----


class Context:
    """The session of one call, and the way to the host's tools."""

    def __init__(self, stub, session_id):
        self.stub = stub
        self.session_id = session_id

    def call_elixir_tool(self, name, **kwargs):
        request = pb.ExecuteElixirToolRequest(session_id=self.session_id, tool_name=name)
        for key, value in kwargs.items():
            target = request.parameters[key]
            if isinstance(value, (bool, int, float)):
                target.type_url = "type.googleapis.com/google.protobuf.Value"
                target.value = json.dumps(value).encode()
            else:  # a packed StringValue, of whatever it is
                text = str(value).encode()
                assert len(text) < 128
                target.type_url = STRING_VALUE
                target.value = bytes([0x0A, len(text)]) + text
        response = self.stub.ExecuteElixirTool(request, timeout=30)
        if not response.success:
            raise RuntimeError(response.error_message)
        return json.loads(response.result.value)


# ---- the servicer ----


class Servicer(pb_grpc.BridgeServiceServicer):
    def __init__(self, adapter, address, stop):
        self.adapter = adapter
        self.stub = pb_grpc.BridgeServiceStub(grpc.insecure_channel(address))
        self.host = pb_grpc.BridgeServiceStub(grpc.aio.insecure_channel(address))
        self.stop = stop
        self.registered = set()
        self.heartbeats = {}
        self.telemetry = asyncio.Queue()

    async def Ping(self, request, context):
        return pb.PingResponse(message=f"Pong from Python: {request.message}")

    async def InitializeSession(self, request, context):
        return await self.host.InitializeSession(request)

    async def CleanupSession(self, request, context):
        return await self.host.CleanupSession(request)

    async def Heartbeat(self, request, context):
        return await self.host.Heartbeat(request)

    async def beat(self, session_id):
        """Two failures in a row end the worker; that the session is over does not."""
        missed = 0
        while missed < 2:
            try:
                request = pb.HeartbeatRequest(session_id=session_id)
                await self.host.Heartbeat(request, timeout=5)
                missed = 0
                self.telemetry.put_nowait(("heartbeat.sent", {"missed": 0}))
            except grpc.RpcError:
                missed += 1
            await asyncio.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    def prepare(self, request):
        """What precedes every call: blocks, and with 0.6 the whole event loop."""
        try:
            self.stub.InitializeSession(
                pb.InitializeSessionRequest(session_id=request.session_id), timeout=10)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.ALREADY_EXISTS:
                logging.error("InitializeSession: %s", error)
        if not IS_NEW or request.session_id not in self.registered:
            self.registered.add(request.session_id)
            tools = [pb.ToolRegistration(name=name, description="of the original",
                                         supports_streaming=name.startswith("stream"))
                     for name in self.adapter.TOOLS]
            self.stub.RegisterTools(pb.RegisterToolsRequest(
                session_id=request.session_id, tools=tools,
                worker_id=f"python-{id(self)}"), timeout=10)
        adapter = self.adapter()
        adapter.context = Context(self.stub, request.session_id)
        return adapter

    def run(self, adapter, request):
        parameters = {key: decode(value) for key, value in request.parameters.items()}
        return adapter.execute_tool(request.tool_name, parameters, adapter.context)

    async def ExecuteTool(self, request, context):
        response = pb.ExecuteToolResponse(success=True)
        start = time.monotonic()
        if IS_NEW and request.session_id not in self.heartbeats:
            self.heartbeats[request.session_id] = asyncio.create_task(
                self.beat(request.session_id))
        try:
            if IS_NEW:
                adapter = await asyncio.to_thread(self.prepare, request)
                result = await asyncio.to_thread(self.run, adapter, request)
            else:
                result = self.run(self.prepare(request), request)
            encode(result, response.result)
        except Exception as error:
            response.success = False
            response.error_message = error_text(error, request)
        response.execution_time_ms = int((time.monotonic() - start) * 1000)
        self.telemetry.put_nowait(("tool.called", {"duration": 1.5}))
        return response

    async def ExecuteStreamingTool(self, request, context):
        n = 0
        try:
            for item in self.run(await asyncio.to_thread(self.prepare, request), request):
                n += 1
                yield pb.ToolChunk(chunk_id=f"{request.tool_name}-{n}", is_final=False,
                                   data=json.dumps(item).encode())
        except Exception as error:
            await context.abort(grpc.StatusCode.INTERNAL, error_text(error, request))
        if IS_NEW:
            yield pb.ToolChunk(chunk_id=f"{request.tool_name}-{n + 1}", is_final=True)
        else:
            yield pb.ToolChunk(is_final=True)

    async def StreamTelemetry(self, requests, context):
        if not IS_NEW:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "not before 0.6.7")
        await context.send_initial_metadata(())
        while True:
            name, measurements = await self.telemetry.get()
            event = pb.TelemetryEvent(event_parts=name.split("."),
                                      timestamp_ns=time.time_ns())
            for key, value in measurements.items():
                event.measurements[key].float_value = value
            yield event


# ---- start ----


def reach_host(address):
    delay = 0.05
    stub = pb_grpc.BridgeServiceStub(grpc.insecure_channel(address))
    for _ in range(60 if IS_NEW else 10):
        try:
            stub.Ping(pb.PingRequest(message="connection_test"), timeout=1.0)
            return
        except grpc.RpcError:
            time.sleep(delay)
            delay = min(delay * 2, 2.0)
    sys.exit(1)


def tell_ready(port):
    path = os.environ.get("SNAKEPIT_READY_FILE")
    if not IS_NEW:
        logging.info("GRPC_READY:%d", port)
        return
    if "ORIGINAL_FIFO" in os.environ:  # where a host that waits for it would hang
        os.mkfifo(path)
        os.close(os.open(path, os.O_WRONLY))  # until the host has looked
    with open(path + ".tmp", "w", encoding="ascii") as file:
        file.write(str(port))
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".tmp", path)


def import_adapter(name):
    module, _, cls = name.rpartition(".")
    return getattr(__import__(module, fromlist=[cls]), cls)


async def serve(args):
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = grpc.aio.server(options=OPTIONS)
    pb_grpc.add_BridgeServiceServicer_to_server(
        Servicer(import_adapter(args.adapter), args.elixir_address, stop), server)
    port = server.add_insecure_port(f"[::]:{args.port}")
    await server.start()
    # For a test: somebody else's port is named.
    tell_ready(int(os.environ.get("ORIGINAL_TELLS", port)))
    await stop.wait()
    await server.stop(2.0 if IS_NEW else 0.5)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    parsed = arguments()
    reach_host(parsed.elixir_address)
    asyncio.run(serve(parsed))
