# SPDX-License-Identifier: MIT
"""A stock gRPC worker: grpcio, modules generated from our proto, nothing of snakepit.

    grpcio_worker.py STUBS ADDRESS NOTES

It listens on ADDRESS and writes what happens to its calls into NOTES.
"""

import json
import os
import sys
import threading
from concurrent import futures

sys.path.insert(0, sys.argv[1])

import grpc  # noqa: E402
import status_pb2  # noqa: E402
from snakepit import bridge_pb2 as pb  # noqa: E402
from snakepit import bridge_pb2_grpc as pb_grpc  # noqa: E402

MESSAGE_MAX = 64 << 20


def note(text):
    with open(sys.argv[3], "w", encoding="utf-8") as notes:
        notes.write(text + "\n")


# ---- tools: (request, arguments, context) -> result ----


def add(request, arguments, context):
    return {"result": arguments["a"] + arguments["b"]}


def echo(request, arguments, context):
    return {"echoed": arguments}


def seen(request, arguments, context):
    """What reached this worker of a call."""
    return {
        "session_id": request.session_id,
        "tool_name": request.tool_name,
        "stream": request.stream,
        "types": {name: any_.type_url for name, any_ in request.parameters.items()},
        "seconds_left": context.time_remaining(),
    }


def repeat(request, arguments, context):
    return {"text": arguments["text"] * arguments["times"]}


def wait(request, arguments, context):
    """Until nobody waits for the answer any more."""
    over = threading.Event()
    context.add_callback(over.set)
    note("waiting")
    over.wait()
    note("cancelled")
    return {}


def end_process(request, arguments, context):
    os._exit(arguments["status"])


def abort(request, arguments, context):
    context.abort(getattr(grpc.StatusCode, arguments["status"]), arguments["text"])


def abort_with_details(request, arguments, context):
    """A rich status with details that only its own program knows."""
    status = status_pb2.Status(code=9, message="the details say more")
    status.details.add().Pack(pb.PingRequest(message="more"))
    context.set_trailing_metadata(
        (("grpc-status-details-bin", status.SerializeToString()),)
    )
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the details say more")


class Told(Exception):
    """Becomes success=false with this text."""


def tell_text(request, arguments, context):
    raise Told("the text of a failure, nothing else")


def tell_object(request, arguments, context):
    raise Told(
        json.dumps(
            {
                "type": "KeyError",
                "message": "'missing'",
                "traceback": "Traceback ...\nKeyError: 'missing'\n",
            }
        )
    )


TOOLS = (add, echo, seen, repeat, wait, end_process, abort, abort_with_details,
         tell_text, tell_object)  # fmt: skip

# ---- streams ----


def count(arguments, context):
    for i in range(arguments["count"]):
        yield {"i": i}


def forever(arguments, context):
    """Without an end. grpcio drops the generator when the caller has left."""
    try:
        i = 0
        while True:
            yield {"i": i, "padding": "x" * 1000}
            i += 1
    finally:
        note("stream cancelled")


def break_off(arguments, context):
    yield {"i": 0}
    context.abort(grpc.StatusCode.DATA_LOSS, "nothing more to be had")


STREAMS = (count, forever, break_off)


class Service(pb_grpc.BridgeServiceServicer):
    def Ping(self, request, context):
        return pb.PingResponse(message=f"pong: {request.message}")

    def ExecuteTool(self, request, context):
        tool = {tool.__name__: tool for tool in TOOLS}.get(request.tool_name)
        if tool is None:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "no such tool here")
        response = pb.ExecuteToolResponse()
        try:
            result = tool(request, arguments_of(request), context)
        except Told as told:
            response.error_message = str(told)
            return response
        response.success = True
        response.result.type_url = "type.googleapis.com/snakepit.map"
        response.result.value = json.dumps(result).encode()
        return response

    def ExecuteStreamingTool(self, request, context):
        stream = {stream.__name__: stream for stream in STREAMS}[request.tool_name]
        for number, item in enumerate(stream(arguments_of(request), context), 1):
            yield pb.ToolChunk(
                chunk_id=f"{request.tool_name}-{number}", data=json.dumps(item).encode()
            )
        yield pb.ToolChunk(is_final=True)


def arguments_of(request):
    return {name: json.loads(any_.value) for name, any_ in request.parameters.items()}


def main():
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=8),
        options=[
            ("grpc.max_receive_message_length", MESSAGE_MAX),
            ("grpc.max_send_message_length", MESSAGE_MAX),
        ],
    )
    pb_grpc.add_BridgeServiceServicer_to_server(Service(), server)
    server.add_insecure_port(sys.argv[2])
    server.start()
    server.wait_for_termination()


main()
