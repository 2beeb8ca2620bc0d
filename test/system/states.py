# SPDX-License-Identifier: MIT
"""A pit in this process whose sessions the test reads and changes itself, beside what
workers do with them: the host's half of tests about state."""

import ctypes
import json
import os
from pathlib import Path

import peers


class Result(ctypes.Structure):
    """The beginning of sp_result, and room for the rest."""

    _fields_ = [
        ("json", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("rest", ctypes.c_char * 256),
    ]


class Variable(ctypes.Structure):
    """sp_variable."""

    _fields_ = [
        ("id", ctypes.c_char_p),
        ("name", ctypes.c_char_p),
        ("type", ctypes.c_char_p),
        ("value", ctypes.c_char_p),
        ("value_size", ctypes.c_size_t),
        ("constraints", ctypes.c_char_p),
        ("metadata", ctypes.c_char_p),
        ("changed_by", ctypes.c_char_p),
        ("locked_by", ctypes.c_char_p),
        ("version", ctypes.c_uint64),
        ("created_unix_ms", ctypes.c_uint64),
        ("updated_unix_ms", ctypes.c_uint64),
        ("locked_unix_ms", ctypes.c_uint64),
        ("memory", ctypes.c_void_p),
    ]


# The workers' interpreter: another one, with the package installed, can be tried.
PYTHON = os.environ.get("SNAKEPIT_PYTHON", peers.PYTHON)


class Refused(Exception):
    """The stable name of what a call ended with."""


def write_config(place, **pools):
    """A configuration with pools of Python workers: name=(adapter, size)."""
    lines = ["pools:"]
    for name, (adapter, size) in pools.items():
        lines += [f"  - name: {name}", f"    adapter: {json.dumps(str(adapter))}"]
        lines += [f"    size: {size}", f"    python: {PYTHON}"]
        if "LD_PRELOAD" in peers.ENVIRONMENT:  # a sanitizer's library
            preload = json.dumps(peers.ENVIRONMENT["LD_PRELOAD"])
            lines.append(f"    env: {{set: {{LD_PRELOAD: {preload}}}}}")
    config = Path(place) / "pit.yaml"
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return config


class StatePit(peers.Pit):
    """A pit, and its sessions from the host's side."""

    def __init__(self, config):
        super().__init__(config)
        for name in ("sp_pit_sessions", "sp_error_name"):
            getattr(self._lib, name).restype = ctypes.c_void_p
        self._lib.sp_error_name.restype = ctypes.c_char_p
        self._sessions = ctypes.c_void_p(self._lib.sp_pit_sessions(self._pit))

    def _do(self, name, *arguments):
        rc = getattr(self._lib, name)(self._sessions, *arguments)
        if rc < 0:
            raise Refused(self._lib.sp_error_name(rc).decode())
        return rc

    def create_session(self, session):
        self._do("sp_session_create", session.encode(), None, None)

    def end_session(self, session):
        self._do("sp_session_delete", session.encode(), None)

    def register(self, session, name, kind, value):
        self._do(
            "sp_variable_register", session.encode(), name.encode(), kind.encode(),
            json.dumps(value).encode(), None, None, None,
        )  # fmt: skip

    def set(self, session, name, value):
        text = json.dumps(value).encode()
        self._do(
            "sp_variable_set", session.encode(), name.encode(), text, None, None, None
        )

    def variable(self, session, name):
        """A variable as the host has it: a dict."""
        found = Variable()
        self._do(
            "sp_variable_get",
            session.encode(),
            name.encode(),
            ctypes.byref(found),
            None,
        )
        try:
            return {
                "type": found.type.decode(),
                "value": json.loads(found.value),
                "version": found.version,
                "changed_by": (found.changed_by or b"").decode(),
                "locked_by": (found.locked_by or b"").decode(),
                "metadata": json.loads(found.metadata),
            }
        finally:
            self._lib.sp_variable_clear(ctypes.byref(found))

    def execute(self, tool, args=None, session="s", timeout_ms=0):
        """A call's result; Refused when it fails."""
        call = self.begin(tool, args, session, timeout_ms)
        return self.result(call)

    def begin(self, tool, args=None, session="s", timeout_ms=0):
        """Start a call of a session; gives its id."""
        call = ctypes.c_uint64()
        options = peers.CallOptions(
            ctypes.sizeof(peers.CallOptions),
            None,
            session.encode() if session else None,
            timeout_ms,
        )
        self._must(
            self._lib.sp_call_start(
                self._pit, tool.encode(), peers.Bytes.of(args or {}),
                ctypes.byref(options), None, None, ctypes.byref(call), None,
            )
        )  # fmt: skip
        return call

    def result(self, call):
        """What a call gave in the end; Refused when it failed."""
        result = Result()
        rc = self._lib.sp_call_wait(self._pit, call, ctypes.byref(result), None)
        if rc < 0:
            raise Refused(self._lib.sp_error_name(rc).decode())
        try:
            return json.loads(ctypes.string_at(result.json, result.size))
        finally:
            self._lib.sp_result_clear(ctypes.byref(result))

    def chunks(self, tool, args=None, session="s"):
        """All chunks of a stream."""
        stream, chunk = ctypes.c_void_p(), peers.Chunk()
        options = peers.CallOptions(
            ctypes.sizeof(peers.CallOptions), None, session.encode()
        )
        self._must(
            self._lib.sp_stream_open(
                self._pit, tool.encode(), peers.Bytes.of(args or {}),
                ctypes.byref(options), ctypes.byref(stream), None,
            )
        )  # fmt: skip
        try:
            while self._must(
                self._lib.sp_stream_next(stream, ctypes.byref(chunk), None)
            ):
                yield json.loads(chunk.data[: chunk.size])
        finally:
            self._lib.sp_stream_close(stream)


# ---- functions of the host ----

TOOL_FN = ctypes.CFUNCTYPE(None, ctypes.c_void_p, peers.Bytes, ctypes.c_void_p)
ANY_THREAD, HIDDEN, STREAMING = 1, 2, 4


class HostTool(ctypes.Structure):
    """sp_host_tool."""

    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("name", ctypes.c_char_p),
        ("description", ctypes.c_char_p),
        ("session", ctypes.c_char_p),
        ("parameters", ctypes.c_void_p),
        ("parameters_count", ctypes.c_size_t),
        ("input_schema", ctypes.c_char_p),
        ("metadata", ctypes.c_char_p),
        ("flags", ctypes.c_uint32),
        ("fn", TOOL_FN),
        ("user_data", ctypes.c_void_p),
        ("on_gone", ctypes.c_void_p),
    ]


class ToolPit(StatePit):
    """A pit with functions of this program as tools."""

    def __init__(self, config):
        super().__init__(config)
        self._functions = []  # C holds no reference

    def tool(self, function, session=None, schema=None, flags=0):
        """Register function(pit, call, **arguments): what it returns is the answer, what
        it raises is told. A streaming one yields its chunks."""

        def run(call, arguments, _):
            call = ctypes.c_void_p(call)
            given = json.loads(ctypes.string_at(arguments.data, arguments.size) or "{}")
            try:
                if flags & STREAMING:
                    for chunk in function(**given):
                        text = peers.Bytes.of(chunk)
                        rc = self._lib.sp_tool_call_chunk(
                            call, text, peers.Bytes(), ctypes.c_uint64(-1), None
                        )
                        if rc < 0:
                            break
                    answer = peers.Bytes()
                else:
                    answer = peers.Bytes.of(function(**given))
            except Exception as failure:
                self._fail(call, failure)
                return
            self._lib.sp_tool_call_reply(call, answer, peers.Bytes(), None)

        self._functions.append(TOOL_FN(run))
        tool = HostTool(
            ctypes.sizeof(HostTool),
            function.__name__.encode(),
            (function.__doc__ or "").encode(),
            session.encode() if session else None,
            None,
            0,
            json.dumps(schema).encode() if schema else None,
            None,
            flags,
            self._functions[-1],
        )
        self._must(self._lib.sp_tool_register(self._pit, ctypes.byref(tool), None))

    def _fail(self, call, failure):
        error = ctypes.create_string_buffer(4096)
        self._lib.sp_error_set(error, self._lib.sp_error_by_name(b"SP-REMOTE"),
                               b"%s", str(failure).encode())  # fmt: skip
        self._lib.sp_tool_call_fail(call, error)
