# SPDX-License-Identifier: MIT
"""A stock gRPC worker that begins the call's session at its host before it answers, as the
original's workers do: asks_back.py STUBS HOST-ADDRESS OWN-ADDRESS."""

import json
import sys
from concurrent import futures

import grpc

sys.path.insert(0, sys.argv[1])
from snakepit import bridge_pb2 as pb  # noqa: E402
from snakepit import bridge_pb2_grpc  # noqa: E402

DEADLINE_S = 60


class Worker(bridge_pb2_grpc.BridgeServiceServicer):
    def __init__(self, host):
        self.host = bridge_pb2_grpc.BridgeServiceStub(grpc.insecure_channel(host))

    def Ping(self, request, context):
        return pb.PingResponse(message=request.message)

    def ExecuteTool(self, request, context):
        session = request.session_id
        begun = self.host.InitializeSession(
            pb.InitializeSessionRequest(session_id=session), timeout=DEADLINE_S
        )
        beat = self.host.Heartbeat(
            pb.HeartbeatRequest(session_id=session), timeout=DEADLINE_S
        )
        answer = pb.ExecuteToolResponse(success=True)
        answer.result.type_url = "type.googleapis.com/snakepit.map"
        answer.result.value = json.dumps(
            {"begun": begun.success, "valid": beat.session_valid}
        ).encode()
        return answer


def main():
    server = grpc.server(futures.ThreadPoolExecutor(4))
    bridge_pb2_grpc.add_BridgeServiceServicer_to_server(Worker(sys.argv[2]), server)
    server.add_insecure_port(sys.argv[3])
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
