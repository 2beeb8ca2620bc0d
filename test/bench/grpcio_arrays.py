# SPDX-License-Identifier: MIT
"""The comparison for arrays: grpcio on both sides, the array's bytes as the message.

    grpcio_arrays.py serve PATH
    grpcio_arrays.py measure PATH BYTES TIMES WARM

No protocol buffers, no JSON: what is measured is the least that grpcio asks for a NumPy
array there, and for one back. Prints as arrays.c does.
"""

import json
import sys
import time
from concurrent import futures

import grpc
import numpy

NO_LIMIT = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def ramp(count):
    return numpy.arange(count) * 0.37 + 0.1


class Service(grpc.GenericRpcHandler):
    def __init__(self):
        self.made = {}

    def take(self, request, context):
        return repr(float(numpy.frombuffer(request)[-1])).encode()

    def give(self, request, context):
        count = int(request)
        if count not in self.made:
            self.made[count] = ramp(count)
        return self.made[count].tobytes()

    def service(self, details):
        method = self.take if details.method == "/bench/take" else self.give
        return grpc.unary_unary_rpc_method_handler(method)


def serve(path):
    server = grpc.server(futures.ThreadPoolExecutor(4), options=NO_LIMIT)
    server.add_generic_rpc_handlers((Service(),))
    server.add_insecure_port(f"unix:{path}")
    server.start()
    print("ready", flush=True)
    server.wait_for_termination()


def timed(run, warm, times):
    taken = []
    for i in range(-warm, times):
        began = time.perf_counter()
        run()
        if i >= 0:
            taken.append((time.perf_counter() - began) * 1e6)
    taken.sort()
    return taken[0], taken[times // 2]


def measure(path, size, times, warm):
    channel = grpc.insecure_channel(f"unix:{path}", options=NO_LIMIT)
    take = channel.unary_unary("/bench/take")
    give = channel.unary_unary("/bench/give")
    values = ramp(size // 8)
    last = values[-1]

    def run_take():
        if float(take(values.tobytes())) != last:
            raise SystemExit("take: another array")

    def run_give():
        if numpy.frombuffer(give(str(len(values)).encode()))[-1] != last:
            raise SystemExit("give: another array")

    take_us, take_median_us = timed(run_take, warm, times)
    give_us, give_median_us = timed(run_give, warm, times)
    channel.close()
    print(json.dumps({
        "what": "arrays", "how": "grpcio", "bytes": size, "times": times,
        "take_us": take_us, "take_median_us": take_median_us,
        "give_us": give_us, "give_median_us": give_median_us,
    }))  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        measure(sys.argv[2], *map(int, sys.argv[3:6]))
