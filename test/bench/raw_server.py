# SPDX-License-Identifier: MIT
"""What pure Python can do: the shortest loop that answers JSON on a socket.

    raw_server.py PATH

Reads 64 KiB, answers every request that is complete, sends all answers at once. Prints
"ready" when it listens; serves one connection after another until it is ended.
"""

import json
import socket
import sys


def add(a, b):
    return {"result": a + b}


def serve(connection):
    buffer = b""
    while True:
        data = connection.recv(65536)
        if not data:
            return
        buffer += data
        answers = []
        at = 0
        end = len(buffer)
        while end - at >= 4:
            size = int.from_bytes(buffer[at : at + 4], "big")
            if end - at - 4 < size:
                break
            at += 4
            answer = json.dumps(add(**json.loads(buffer[at : at + size]))).encode()
            answers.append(len(answer).to_bytes(4, "big"))
            answers.append(answer)
            at += size
        buffer = buffer[at:]
        connection.sendall(b"".join(answers))


def main():
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(sys.argv[1])
        listener.listen(1)
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            with connection:
                serve(connection)


main()
