# SPDX-License-Identifier: MIT
"""The tools of the conformance list (docs/conformance.md), in Python."""

import itertools
import os
import signal
import subprocess
import sys
import time

import numpy

import snakepit_bridge
from snakepit_bridge import BaseAdapter, telemetry, tool


class ConformanceError(Exception):
    """What `fail` raises."""


def note(path, word):
    with open(path, "a", encoding="utf-8") as file:
        file.write(word + "\n")


class Conformance(BaseAdapter):
    # ---- values ----

    @tool
    def echo(self, value):
        return value

    @tool
    def kind(self, value):
        words = {
            type(None): "null", bool: "boolean", int: "integer", float: "float",
            str: "string", list: "list", dict: "map", bytes: "bytes",
        }
        return words.get(type(value), type(value).__name__)

    @tool
    def add(self, a: int, b: int):
        return a + b

    @tool
    def negate(self, value: int):
        return -value

    @tool
    def specials(self):
        return [float("nan"), float("inf"), float("-inf")]

    @tool
    def make_bytes(self, size: int):
        return bytes(i % 256 for i in range(size))

    @tool
    def take_bytes(self, data: bytes):
        return [len(data), sum(data)]

    @tool
    def matrix(self, rows: int, columns: int):
        return numpy.arange(rows * columns, dtype="float64").reshape(rows, columns)

    @tool
    def total(self, matrix):
        return [list(numpy.shape(matrix)), float(numpy.sum(matrix))]

    # ---- telemetry ----

    @tool
    def report(self, name: str, amount: int, note: str):
        telemetry.emit(name, {"amount": amount}, {"note": note})

    # ---- failures ----

    @tool
    def fail(self, message: str):
        try:
            raise ValueError("the cause")
        except ValueError as cause:
            raise ConformanceError(message) from cause

    # ---- streams ----

    @tool
    def count(self, n: int):
        for i in range(n):
            yield {"i": i}

    @tool
    def fail_after(self, n: int):
        for i in range(n):
            yield {"i": i}
        raise ConformanceError(f"after {n}")

    @tool
    def endless(self, path: str, made: str):
        try:
            with open(made, "wb", buffering=0) as file:
                for i in itertools.count(1):
                    os.pwrite(file.fileno(), b"%020d" % i, 0)
                    yield {"i": i, "text": "x" * 1000}
        finally:
            note(path, "closed")

    # ---- time ----

    @tool
    def sleep(self, path: str, seconds: float):
        note(path, "started")
        try:
            time.sleep(seconds)
        except BaseException:
            note(path, "cancelled")
            raise
        return "slept"

    @tool
    def hang(self, path: str):
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
        note(path, "started")
        while True:
            try:
                while True:
                    pass
            except BaseException:
                pass

    @tool
    def time_left(self):
        left = snakepit_bridge.time_left()
        return None if left is None else int(left * 1000)

    # ---- the session and the host ----

    @tool
    def session(self):
        return snakepit_bridge.current().session_id

    @tool
    def metadata(self):
        return dict(snakepit_bridge.current().request_metadata)

    @tool
    def set_variable(self, name: str, value):
        snakepit_bridge.current()[name] = value

    @tool
    def get_variable(self, name: str):
        return snakepit_bridge.current()[name]

    @tool
    def call_host(self, name: str, args: dict):
        return snakepit_bridge.current().call_host_tool(name, args)

    @tool
    def call_worker(self, pool: str, name: str, args: dict):
        return snakepit_bridge.current().call_tool(name, args, pool=pool)

    # ---- the process ----

    @tool
    def say(self, text: str):
        print(text)
        print(text, file=sys.stderr)
        os.write(1, text.encode() + b"\n")
        return text

    @tool
    def flood(self, lines: int):
        for i in range(lines):
            print(f"line {i} of what nobody reads")
            print(f"line {i} of what nobody reads", file=sys.stderr)
        return lines

    @tool
    def pid(self):
        return os.getpid()

    @tool
    def child(self, seconds: str):
        subprocess.Popen(["sleep", seconds])

    @tool
    def leave(self, code: int):
        os._exit(code)

    @tool
    def crash(self):
        os.kill(os.getpid(), signal.SIGSEGV)
