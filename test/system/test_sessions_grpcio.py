# SPDX-License-Identifier: MIT
"""The calls about sessions and programs, driven by grpcio as Debian has it against
snakepitd.
"""

import json

import pytest

grpc = pytest.importorskip("grpc", reason="needs python3-grpcio")

import peers
from stock_state import FIXTURES, refused

daemon, channel, state = FIXTURES


def test_a_session_has_a_time_to_live_metadata_and_counts(state):
    made = state.begin(
        session_id="mine", ttl_ms=-1, metadata_json='{"n": 1, "t": "x"}', must_create=True,
        durability="memory",
    )  # fmt: skip
    assert made.success and made.created
    again = {"session_id": "mine", "must_create": True}
    refused(lambda: state.begin(**again), "ALREADY_EXISTS", "SP-EXISTS")
    assert not state.begin(session_id="mine").created
    state.register("a", "1", session_id="mine")
    found = state.call("GetSession", "GetSessionRequest", session_id="mine")
    assert (found.ttl_ms, found.remaining_ms) == (-1, -1)
    assert json.loads(found.metadata_json) == {"n": 1, "t": "x"}
    assert dict(found.metadata) == {"n": "1", "t": "x"}
    assert (found.variables, found.programs) == (1, 0)
    assert found.durability == "memory"
    wrong = {"session_id": "other", "durability": "solid"}
    refused(lambda: state.begin(**wrong), "INVALID_ARGUMENT", "SP-INVAL", "solid")
    assert found.bytes > 0 and found.used_at.seconds > 1_700_000_000
    changed = state.call(
        "UpdateSession", "UpdateSessionRequest", session_id="mine", ttl_ms=60000,
        metadata_json='{"n": 2}',
    )  # fmt: skip
    assert changed.ttl_ms == 60000 and 0 < changed.remaining_ms <= 60000
    assert dict(changed.metadata) == {"n": "2"}
    stale = {
        "session_id": "mine", "ttl_ms": 1, "check": True, "expected_ttl_ms": 60000,
        "expected_metadata_json": '{"n": 1}',
    }  # fmt: skip
    refused(
        lambda: state.call("UpdateSession", "UpdateSessionRequest", **stale),
        "ABORTED", "SP-CONFLICT",
    )  # fmt: skip
    state.call("CleanupSession", "CleanupSessionRequest", session_id="mine")


def test_a_session_counts_the_tools_registered_for_it(state):
    tools = [state.pb.ToolRegistration(name=name) for name in ("one", "two")]
    made = state.call(
        "RegisterTools", "RegisterToolsRequest", tools=tools, worker_id="python-1"
    )
    assert made.success
    found = state.call("GetSession", "GetSessionRequest")
    assert (found.tool_count, found.tool_count_0_4) == (2, 2)


def test_a_session_that_is_not_used_is_over(state):
    state.begin(session_id="short", ttl_ms=50)
    end = {"session_id": "short", "peek": True}

    def is_gone():
        try:
            state.call("GetSession", "GetSessionRequest", **end)
        except grpc.RpcError as error:
            return error.code() == grpc.StatusCode.NOT_FOUND
        return False

    peers.cli_tool.wait_until(is_gone, "the session to be over")


def test_sessions_are_listed_and_counted(state):
    bridge, pb = state.client.bridge, state.pb
    for name in ("list a", "list b"):
        state.begin(session_id=name)
    found = bridge.ListSessions(pb.ListSessionsRequest(pattern="list ?"), timeout=10)
    assert [session.session_id for session in found.sessions] == ["list a", "list b"]
    everything = bridge.ListSessions(pb.ListSessionsRequest(), timeout=10)
    stats = bridge.GetSessionStats(pb.GetSessionStatsRequest(), timeout=10)
    assert 3 <= len(everything.sessions) <= stats.sessions  # some may be over
    assert stats.sessions_created - stats.sessions_deleted >= stats.sessions
    assert stats.sessions_max == 10000 and stats.memory_bytes > 0


# ---- programs ----


def test_programs_of_a_session_and_global_ones(state):
    def store(name, data, **fields):
        state.call(
            "StoreProgram", "StoreProgramRequest", program_id=name,
            data_json=data.encode(), **fields,
        )  # fmt: skip

    def get(name, **fields):
        return state.call("GetProgram", "GetProgramRequest", program_id=name, **fields)

    store("p", '{"a": 1}')
    store("g", "[1]", ttl_ms=60000, **{"global": True})
    store("e", "[2]", session_id="", ttl_ms=-1)
    assert json.loads(get("p").data_json) == {"a": 1}
    assert get("p").remaining_ms == -1 and get("p").created_at.seconds > 1_700_000_000
    assert 0 < get("g", **{"global": True}).remaining_ms <= 60000
    assert get("e", session_id="").remaining_ms == -1
    refused(lambda: get("g"), "NOT_FOUND", "SP-NOT-FOUND")
    refused(lambda: store("q", "1", must_exist=True), "NOT_FOUND", "SP-NOT-FOUND")
    refused(lambda: store("q", "{"), "INVALID_ARGUMENT", "SP-BAD-JSON")
    store("p", "2", must_exist=True)
    listed = state.call("ListPrograms", "ListProgramsRequest")
    assert [(p.id, p.data_json) for p in listed.programs] == [("p", b"2")]
    state.call("DeleteProgram", "DeleteProgramRequest", program_id="p")
    refused(lambda: get("p"), "NOT_FOUND", "SP-NOT-FOUND")
    for name in ("g", "e"):
        state.call("DeleteProgram", "DeleteProgramRequest", program_id=name, session_id="")
