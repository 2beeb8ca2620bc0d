# SPDX-License-Identifier: MIT
"""The tools of the conformance list (docs/conformance.md) in a program that knows nothing
of snakepit: it reads and writes lines of JSON, as snakepit-stdio(1) has them. What comes
while a tool runs is read by a thread, to hear of cancellations."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import traceback

calls = queue.Queue()
cancelled = threading.Event()  # the call that runs
pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")


class ConformanceError(Exception):
    """What `fail` raises."""


def say(**answer):
    pipe.write(json.dumps(answer) + "\n")
    pipe.flush()


def note(path, word):
    with open(path, "a", encoding="utf-8") as file:
        file.write(word + "\n")


def kind(value):
    words = {type(None): "null", bool: "boolean", int: "integer", float: "float",
             str: "string", list: "list", dict: "map"}
    return words[type(value)]


def fail(message):
    try:
        raise ValueError("the cause")
    except ValueError as cause:
        raise ConformanceError(message) from cause


def count(n):
    for i in range(n):
        yield {"i": i}


def fail_after(n):
    yield from count(n)
    raise ConformanceError(f"after {n}")


def endless(path, made):
    i = 0
    with open(made, "wb", buffering=0) as file:
        while not cancelled.is_set():
            i += 1
            os.pwrite(file.fileno(), b"%020d" % i, 0)
            yield {"i": i, "text": "x" * 1000}
    note(path, "closed")


def sleep(path, seconds):
    note(path, "started")
    if cancelled.wait(seconds):
        note(path, "cancelled")
    return "slept"


def hang(path):
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
    note(path, "started")
    while True:
        pass


def print_all(text):
    print(text, flush=True)
    print(text, file=sys.stderr)
    return text


def flood(lines):
    for i in range(lines):
        print(f"line {i} of what nobody reads")
        print(f"line {i} of what nobody reads", file=sys.stderr)
    sys.stdout.flush()
    return lines


TOOLS = {
    "echo": (lambda value: value, ["value"]),
    "kind": (kind, ["value"]),
    "add": (lambda a, b: a + b, ["a", "b"]),
    "negate": (lambda value: -value, ["value"]),
    "specials": (lambda: [float("nan"), float("inf"), float("-inf")], []),
    "fail": (fail, ["message"]),
    "count": (count, ["n"]),
    "fail_after": (fail_after, ["n"]),
    "endless": (endless, ["path", "made"]),
    "sleep": (sleep, ["path", "seconds"]),
    "hang": (hang, ["path"]),
    "time_left": (None, []),
    "session": (None, []),
    "say": (print_all, ["text"]),
    "flood": (flood, ["lines"]),
    "pid": (os.getpid, []),
    "child": (lambda seconds: subprocess.Popen(["sleep", seconds]) and None, ["seconds"]),
    "leave": (lambda code: os._exit(code), ["code"]),
    "crash": (lambda: os.kill(os.getpid(), signal.SIGSEGV), []),
}
STREAMS = ("count", "fail_after", "endless")


def read():
    for line in sys.stdin:
        call = json.loads(line)
        if "cancel" in call:
            cancelled.set()
        else:
            calls.put(call)
    calls.put(None)


def run(call):
    if call["tool"] == "time_left":
        return call.get("timeout_ms")
    if call["tool"] == "session":
        return call.get("session", "")
    return TOOLS[call["tool"]][0](**call["args"])


threading.Thread(target=read, daemon=True).start()
while (call := calls.get()) is not None:
    if "describe" in call:
        say(cancel=True, tools=[
            {"name": name, "params": params, "stream": name in STREAMS}
            for name, (_, params) in TOOLS.items()
        ])
        continue
    cancelled.clear()
    try:
        result = run(call)
        if call["tool"] in STREAMS:
            for chunk in result:
                say(id=call["id"], chunk=chunk)
            say(id=call["id"], end=True)
        else:
            say(id=call["id"], result=result)
    except Exception as failure:
        cause = failure.__cause__
        causes = [] if cause is None else [
            {"link": "cause", "type": type(cause).__name__, "message": str(cause)}
        ]
        say(id=call["id"], error={"type": type(failure).__name__, "message": str(failure),
                                  "trace": traceback.format_exc(),
                                  "details": {"causes": causes}})
