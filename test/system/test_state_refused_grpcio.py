# SPDX-License-Identifier: MIT
"""Calls about state that are refused, each with its own error and nothing changed: driven
by grpcio as Debian has it, and by bytes, against snakepitd.
"""

import json
import socket
import struct

import pytest

grpc = pytest.importorskip("grpc", reason="needs python3-grpcio")

import peers
from stock_state import FIXTURES, refused

daemon, channel, state = FIXTURES
EXPLODING = {"pattern": "^(a+)+$"}
BAD_REGISTERS = [
    ({"kind": "complex"}, "INVALID_ARGUMENT", "SP-INVAL", "unknown type"),
    ({"name": ""}, "INVALID_ARGUMENT", "SP-INVAL", "name"),
    ({"name": "n" * 256}, "INVALID_ARGUMENT", "SP-INVAL", "255"),
    ({"name": "a\0b"}, "INVALID_ARGUMENT", "SP-INVAL", "NUL"),
    ({"session_id": "nobody"}, "NOT_FOUND", "SP-NOT-FOUND", '"nobody"'),
    ({"session_id": "a\0b"}, "INVALID_ARGUMENT", "SP-INVAL", "NUL"),
    ({"value": "{"}, "INVALID_ARGUMENT", "SP-BAD-JSON", ""),
    ({"value": "1\x00"}, "INVALID_ARGUMENT", "SP-BAD-JSON", "NUL"),
    ({"value": "[" * 600 + "]" * 600}, "INVALID_ARGUMENT", "SP-TOO-DEEP", ""),
    ({"constraints_json": "{"}, "INVALID_ARGUMENT", "SP-BAD-JSON", ""),
    ({"constraints_json": "[1]"}, "INVALID_ARGUMENT", "SP-BAD-VALUE", "object"),
    ({"constraints_json": {"mni": 1}}, "INVALID_ARGUMENT", "SP-BAD-VALUE", "mni"),
    ({"constraints_json": {"min": "a"}}, "INVALID_ARGUMENT", "SP-BAD-VALUE", "min"),
    ({"constraints_json": '{"min": NaN}'}, "INVALID_ARGUMENT", "SP-BAD-VALUE", ""),
    ({"constraints_json": {"min": 2, "max": 1}}, "INVALID_ARGUMENT", "SP-BAD-VALUE", ""),
    ({"constraints_json": {"min": 5}}, "INVALID_ARGUMENT", "SP-BAD-VALUE", "below minimum"),
    ({"metadata_json": "[]"}, "INVALID_ARGUMENT", "SP-INVAL", "metadata"),
    ({"metadata": {"k": "x" * (1 << 20)}}, "RESOURCE_EXHAUSTED", "SP-TOO-BIG", "metadata"),
    ({"kind": "string", "value": '"a"', "constraints_json": {"pattern": "["}},
     "INVALID_ARGUMENT", "SP-BAD-VALUE", "pattern"),
    ({"kind": "string", "value": json.dumps("a" * 4000 + "!"), "constraints_json": EXPLODING},
     "INVALID_ARGUMENT", "SP-BAD-VALUE", "pattern"),
    ({"kind": "string", "value": json.dumps("x" * (1 << 20))},
     "RESOURCE_EXHAUSTED", "SP-TOO-BIG", "1048576"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "code", "reason", "text"), BAD_REGISTERS)
def test_bad_input_is_refused_with_its_own_error(state, change, code, reason, text):
    fields = {"name": "x", "value": "1", "kind": "integer"}
    fields.update(change)
    before = state.call("GetSession", "GetSessionRequest").bytes
    refused(lambda: state.register(**fields), code, reason, text)
    assert state.names() == []
    assert state.call("GetSession", "GetSessionRequest").bytes == before


def test_a_name_is_given_once(state):
    state.register("x", "1")
    refused(lambda: state.register("x", "2"), "ALREADY_EXISTS", "SP-EXISTS")
    assert state.value("x") == 1


def test_a_request_without_a_value_is_refused(state):
    state.register("x", "1")
    refused(
        lambda: state.call("SetVariable", "SetVariableRequest", variable_identifier="x"),
        "INVALID_ARGUMENT", "SP-INVAL", "value is needed",
    )  # fmt: skip


def test_a_pickle_is_not_taken(state):
    refused(
        lambda: state.register(
            "x", '{"binary_format": "pickle"}', "tensor", initial_binary_value=b"\x80\x04N."
        ),
        "INVALID_ARGUMENT", "SP-BAD-VALUE", "no tensor",
    )  # fmt: skip
    assert state.names() == []


def test_more_names_than_variables_are_refused(state):
    many = [f"v{i}" for i in range(601)]
    refused(
        lambda: state.call(
            "GetVariables", "BatchGetVariablesRequest", variable_identifiers=many
        ),
        "RESOURCE_EXHAUSTED", "SP-TOO-BIG", "601",
    )  # fmt: skip


def test_one_variable_more_than_allowed_is_refused(state):
    for i in range(600):
        state.register(f"v{i}", "1", "integer")
    refused(
        lambda: state.register("one_more", "1", "integer"), "RESOURCE_EXHAUSTED",
        "SP-QUOTA", "600",
    )  # fmt: skip


def test_a_message_of_a_gigabyte_is_refused_by_its_size(daemon):
    """By the length that stands before it: not a byte of it need be sent."""

    def frame(kind, flags, stream, payload):
        return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(
            ">I", stream
        ) + payload

    def literal(name, value):
        return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value

    path = b"/snakepit.bridge.BridgeService/SetVariable"
    headers = b"".join(
        literal(name, value)
        for name, value in (
            (b":method", b"POST"), (b":scheme", b"http"), (b":path", path),
            (b":authority", b"x"), (b"content-type", b"application/grpc"),
            (b"te", b"trailers"),
        )
    )  # fmt: skip
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(peers.DEADLINE_S)
        peer.connect(str(daemon.socket))
        peer.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b""))
        peer.sendall(frame(1, 4, 1, headers))
        peer.sendall(frame(0, 0, 1, b"\x00" + struct.pack(">I", 1 << 30) + b"x"))
        assert ends_stream(peer)


def ends_stream(peer):
    """Whether the frame that ends stream 1, trailers or a reset, comes."""
    seen = b""
    while True:
        while len(seen) < 9 or len(seen) < 9 + int.from_bytes(seen[:3], "big"):
            more = peer.recv(65536)
            if not more:
                return False
            seen += more
        kind, flags, stream = seen[3], seen[4], int.from_bytes(seen[5:9], "big")
        if stream == 1 and (kind == 3 or (kind == 1 and flags & 1)):
            return True
        seen = seen[9 + int.from_bytes(seen[:3], "big") :]


def test_a_message_above_the_limit_is_told(state):
    value = json.dumps("x" * (17 << 20))
    with pytest.raises(grpc.RpcError) as caught:
        state.register("x", value, "string")
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert state.names() == []


# ---- tools are another's; unknown methods nobody's ----


def test_an_unknown_method_is_unimplemented(channel):
    call = channel.unary_unary("/snakepit.bridge.BridgeService/SetVariabel")
    with pytest.raises(grpc.RpcError) as caught:
        call(b"", timeout=peers.DEADLINE_S)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
