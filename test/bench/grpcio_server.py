# SPDX-License-Identifier: MIT
"""The comparison: a stock gRPC server in Python that answers the same calls.

    grpcio_server.py aio|sync STUBS PATH

STUBS is the folder of the generated modules. ExecuteTool decodes the parameters' JSON,
adds and encodes, as a tool behind such a server has to. Prints "ready" when it serves.
"""

import json
import sys
from concurrent import futures

sys.path.insert(0, sys.argv[2])

import grpc  # noqa: E402
from snakepit import bridge_pb2, bridge_pb2_grpc  # noqa: E402

# Four threads: more of them only pass the interpreter's lock around.
THREADS = 4


def add(a, b):
    return {"result": a + b}


def numbers(count):
    for i in range(count):
        yield {"i": i}


def arguments_of(request):
    return {name: json.loads(value.value) for name, value in request.parameters.items()}


def answer(request):
    response = bridge_pb2.ExecuteToolResponse(success=True)
    response.result.type_url = "type.googleapis.com/snakepit.map"
    response.result.value = json.dumps(add(**arguments_of(request))).encode()
    return response


def chunks(request):
    for number, item in enumerate(numbers(**arguments_of(request)), 1):
        yield bridge_pb2.ToolChunk(
            chunk_id=f"numbers-{number}", data=json.dumps(item).encode()
        )
    yield bridge_pb2.ToolChunk(is_final=True)


class Service(bridge_pb2_grpc.BridgeServiceServicer):
    def ExecuteTool(self, request, context):
        return answer(request)

    def ExecuteStreamingTool(self, request, context):
        yield from chunks(request)


class AioService(bridge_pb2_grpc.BridgeServiceServicer):
    async def ExecuteTool(self, request, context):
        return answer(request)

    async def ExecuteStreamingTool(self, request, context):
        for chunk in chunks(request):
            yield chunk


def serve(path):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=THREADS))
    bridge_pb2_grpc.add_BridgeServiceServicer_to_server(Service(), server)
    server.add_insecure_port(f"unix:{path}")
    server.start()
    print("ready", flush=True)
    server.wait_for_termination()


async def serve_aio(path):
    server = grpc.aio.server()
    bridge_pb2_grpc.add_BridgeServiceServicer_to_server(AioService(), server)
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    print("ready", flush=True)
    await server.wait_for_termination()


if sys.argv[1] == "aio":
    import asyncio

    asyncio.run(serve_aio(sys.argv[3]))
else:
    serve(sys.argv[3])
