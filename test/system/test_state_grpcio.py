# SPDX-License-Identifier: MIT
"""The calls about state, each driven by grpcio as Debian has it against snakepitd.

First the calls of the original's 0.4, as a stock client makes them; then those of ours;
then what is refused, each with its own error and nothing changed.
"""

import json
import socket
import struct
import threading

import pytest

import daemons
import peers

grpc = pytest.importorskip("grpc", reason="needs python3-grpcio")

DEADLINE_S = peers.DEADLINE_S
JSON_URL = "type.googleapis.com/google.protobuf.StringValue"
TABLE = peers.ROOT / "test" / "data" / "variables.tsv"


@pytest.fixture(scope="module")
def stubs(tmp_path_factory):
    return peers.make_stubs(tmp_path_factory.mktemp("stubs"))


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    top = ["sessions:", "  history_max: 4", "  value_max: 1MiB", "  variables_max: 600"]
    with daemons.running(tmp_path_factory.mktemp("d"), top=top) as found:
        yield found


class State:
    """One session of a test, in a stock client's words."""

    def __init__(self, channel, session):
        self.client = peers.Client(channel)
        self.pb = self.client.pb
        self.session = session

    def call(self, method, request_type, **fields):
        fields.setdefault("session_id", self.session)
        request = getattr(self.pb, request_type)(**fields)
        return getattr(self.client.bridge, method)(request, timeout=DEADLINE_S)

    def any(self, text):
        """A google.protobuf.Any with JSON text, as stock peers make it."""
        found = self.pb.GetVariableResponse().variable.value
        found.type_url = JSON_URL
        found.value = text.encode()
        return found

    def begin(self, **fields):
        return self.call("InitializeSession", "InitializeSessionRequest", **fields)

    def register(self, name, value, kind="", **fields):
        if isinstance(fields.get("constraints_json"), dict):
            fields["constraints_json"] = json.dumps(fields["constraints_json"])
        return self.call(
            "RegisterVariable", "RegisterVariableRequest", name=name, type=kind,
            initial_value=self.any(value), **fields,
        )  # fmt: skip

    def get(self, name):
        found = self.call("GetVariable", "GetVariableRequest", variable_identifier=name)
        return found.variable

    def value(self, name):
        return json.loads(self.get(name).value.value)

    def set(self, name, value, **fields):
        return self.call(
            "SetVariable", "SetVariableRequest", variable_identifier=name,
            value=self.any(value), **fields,
        )  # fmt: skip

    def delete(self, name, **fields):
        return self.call(
            "DeleteVariable", "DeleteVariableRequest", variable_identifier=name, **fields
        )

    def names(self, pattern=""):
        found = self.call("ListVariables", "ListVariablesRequest", pattern=pattern)
        return [variable.name for variable in found.variables]

    def set_many(self, atomic=False, **values):
        updates = {name: self.any(value) for name, value in values.items()}
        return self.call(
            "SetVariables", "BatchSetVariablesRequest", updates=updates, atomic=atomic
        )

    def start(self, name, owner):
        return self.call(
            "StartOptimization", "StartOptimizationRequest", variable_identifier=name,
            optimizer_id=owner, optimizer_config={"steps": "10"},
        )  # fmt: skip

    def stop(self, name, **fields):
        return self.call(
            "StopOptimization", "StopOptimizationRequest", variable_identifier=name,
            **fields,
        )  # fmt: skip

    def depend(self, one, other, kind="data"):
        return self.call(
            "AddDependency", "AddDependencyRequest", from_variable=one,
            to_variable=other, dependency_type=kind,
        )  # fmt: skip

    def watch(self, *names, initial=False, **fields):
        request = self.pb.WatchVariablesRequest(
            session_id=self.session, variable_identifiers=names,
            include_initial_values=initial, **fields,
        )  # fmt: skip
        stream = self.client.bridge.WatchVariables(request, timeout=DEADLINE_S)
        stream.initial_metadata()  # the host has begun to watch
        return stream


@pytest.fixture
def channel(stubs, daemon):
    with grpc.insecure_channel(daemon.address, options=peers.UNLIMITED) as found:
        yield found


@pytest.fixture
def state(channel, request):
    found = State(channel, request.node.name)
    assert found.begin(metadata={"user": "Ann"}).success
    yield found
    found.call("CleanupSession", "CleanupSessionRequest")


def refused(call, code, reason, text=""):
    """The call fails with this status and stable name; its details have the text."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error = caught.value
    trailers = dict(error.trailing_metadata() or ())
    assert (error.code().name, trailers.get("snakepit-reason")) == (code, reason), error
    assert text in error.details()
    assert trailers["snakepit-executed"] == "no"
    return error


# ---- 0.4: registering, reading, setting ----


def test_a_variable_is_registered_and_found_by_name_and_id(state):
    made = state.register(
        "temperature", "1", "float", constraints_json={"min": 0, "max": 2},
        metadata={"source": "python", "unit": "K"},
    )  # fmt: skip
    assert made.success and made.error_message == ""
    variable = state.get("temperature")
    assert state.get(made.variable_id) == variable
    assert variable.id == made.variable_id
    assert (variable.name, variable.type, variable.version) == ("temperature", "float", 0)
    assert variable.value.type_url == "type.googleapis.com/snakepit.float"
    assert variable.value.value == b"1.0"
    assert json.loads(variable.constraints_json) == {"min": 0, "max": 2}
    assert dict(variable.metadata) == {"source": "python", "unit": "K"}
    assert variable.source == state.pb.Variable.PYTHON
    assert variable.last_updated_at.seconds > 1_700_000_000
    assert not variable.optimization_status.optimizing


@pytest.mark.parametrize(
    ("kind", "value", "kept"),
    [
        ("float", "1", 1.0),
        ("integer", "2.0", 2),
        ("string", '"größe"', "größe"),
        ("boolean", '"true"', True),
        ("choice", '"a"', "a"),
        ("module", '"dspy.Predict"', "dspy.Predict"),
        ("embedding", "[1, 2]", [1.0, 2.0]),
        ("tensor", '{"shape": [2, 1], "data": [1, 2]}', {"shape": [2, 1], "data": [1, 2]}),
        ("list", '[1, "a", null]', [1, "a", None]),
        ("map", '{"a": [true]}', {"a": [True]}),
    ],
)
def test_every_type_comes_back_under_its_own_url(state, kind, value, kept):
    assert state.register("x", value, kind).success
    variable = state.get("x")
    assert variable.value.type_url == f"type.googleapis.com/snakepit.{kind}"
    assert json.loads(variable.value.value) == kept


def test_special_floats_travel_as_texts(state):
    for text in ("NaN", "Infinity", "-Infinity"):
        assert state.register(f"v{text}", f'"{text}"', "float").success
        assert state.value(f"v{text}") == text


def test_a_set_makes_a_new_version_and_merges_metadata(state):
    state.register("x", "1", "integer", metadata={"a": "1", "b": "2"})
    done = state.set("x", "2", metadata={"b": "3"})
    assert done.success and done.new_version == 1
    variable = state.get("x")
    assert (variable.version, variable.value.value) == (1, b"2")
    assert dict(variable.metadata) == {"a": "1", "b": "3"}


def test_expected_version_is_honoured(state):
    state.register("x", "1", "integer")
    assert state.set("x", "2", expected_version=0).new_version == 1  # 0: none
    assert state.set("x", "3", expected_version=1).new_version == 2
    refused(
        lambda: state.set("x", "4", expected_version=1), "ABORTED", "SP-CONFLICT",
        "version 2, expected 1",
    )  # fmt: skip
    refused(
        lambda: state.set("x", "4", check_version=True), "ABORTED", "SP-CONFLICT",
        "version 2, expected 0",
    )  # fmt: skip
    refused(lambda: state.set("x", "4", expected_version=-1), "ABORTED", "SP-CONFLICT")
    assert state.value("x") == 3


def test_variables_are_listed_by_age_and_pattern(state):
    for name in ("lr_b", "lr_a", "other"):
        state.register(name, "1")
    assert state.names() == ["lr_b", "lr_a", "other"]
    assert state.names("lr_*") == ["lr_b", "lr_a"]
    assert state.names("lr") == []  # the whole name counts
    assert state.names("lr_?") == ["lr_b", "lr_a"]


def test_a_deleted_variable_is_gone(state):
    state.register("x", "1")
    assert state.delete("x").success
    refused(lambda: state.get("x"), "NOT_FOUND", "SP-NOT-FOUND", '"x"')
    refused(lambda: state.delete("x"), "NOT_FOUND", "SP-NOT-FOUND")


def test_a_large_value_comes_whole(state):
    """One that is too large to be copied where everybody else waits."""
    text = "x" * (700 << 10)
    state.register("x", json.dumps(text), "string")
    assert state.value("x") == text


# ---- 0.4: batches ----


def test_many_are_read_by_what_was_asked_for(state):
    made = state.register("a", "1", metadata={"k": "v"})
    state.register("b", '"x"')
    request = {"variable_identifiers": [made.variable_id, "b", "none"]}
    found = state.call(
        "GetVariables", "BatchGetVariablesRequest", include_metadata=True, **request
    )
    assert set(found.variables) == {made.variable_id, "b"}
    assert found.variables[made.variable_id].name == "a"
    assert dict(found.variables[made.variable_id].metadata) == {"k": "v"}
    assert list(found.missing_variables) == ["none"]
    bare = state.call("GetVariables", "BatchGetVariablesRequest", **request)
    assert not bare.variables[made.variable_id].metadata


def test_a_batch_says_for_each_name_what_became_of_it(state):
    state.register("n", "1", "integer", constraints_json={"max": 10})
    state.register("s", '"x"', "string")
    done = state.set_many(n="11", s='"y"', none="1")
    assert not done.success
    assert set(done.errors) == {"n", "none"}
    assert "above maximum 10" in done.errors["n"]
    assert done.error_reasons["n"] == "SP-BAD-VALUE"
    assert done.error_reasons["none"] == "SP-NOT-FOUND"
    assert dict(done.new_versions) == {"s": 1}
    assert (state.value("n"), state.value("s")) == (1, "y")


def test_an_atomic_batch_sets_all_or_none(state):
    state.register("n", "1", "integer", constraints_json={"max": 10})
    state.register("s", '"x"', "string")
    done = state.set_many(atomic=True, n="11", s='"y"')
    assert not done.success
    assert set(done.errors) == {"n"} and not done.new_versions
    assert (state.value("n"), state.value("s")) == (1, "x")
    done = state.set_many(atomic=True, n="5", s='"y"')
    assert done.success and not done.errors
    assert dict(done.new_versions) == {"n": 1, "s": 1}


# ---- 0.4: what the original's host left unimplemented ----


def test_an_optimisation_is_a_lock_with_an_owner(state):
    state.register("x", "1", "integer")
    started = state.start("x", "optuna")
    assert started.success and started.optimization_id == "optuna"
    status = state.get("x").optimization_status
    assert (status.optimizing, status.optimizer_id) == (True, "optuna")
    assert status.started_at.seconds > 1_700_000_000
    assert state.start("x", "optuna").success  # the same one again
    text = 'locked by "optuna"'
    refused(lambda: state.start("x", "b"), "FAILED_PRECONDITION", "SP-LOCKED", text)
    refused(lambda: state.set("x", "2"), "FAILED_PRECONDITION", "SP-LOCKED", text)
    refused(lambda: state.delete("x"), "FAILED_PRECONDITION", "SP-LOCKED", text)
    refused(lambda: state.stop("x"), "FAILED_PRECONDITION", "SP-LOCKED", text)
    assert state.set("x", "2", owner="optuna").new_version == 1
    stopped = state.stop("x", optimizer_id="optuna")
    assert stopped.success and stopped.final_value.value == b"2"
    state.start("x", "lost")
    assert state.stop("x", force=True).success
    assert state.set("x", "3").success
    refused(lambda: state.start("x", ""), "INVALID_ARGUMENT", "SP-INVAL", "owner")


def test_history_and_rollback(state):
    state.register("x", "0", "integer", changed_by="Ann")
    for value in "1234":
        state.set("x", value, changed_by="Bob", metadata={"step": value})
    history = state.call(
        "GetVariableHistory", "GetVariableHistoryRequest", variable_identifier="x"
    )
    assert [entry.version for entry in history.entries] == [4, 3, 2, 1]  # 4 are kept
    assert [entry.value.value for entry in history.entries] == [b"4", b"3", b"2", b"1"]
    assert {entry.changed_by for entry in history.entries} == {"Bob"}
    assert dict(history.entries[-1].metadata) == {"step": "1"}
    assert history.entries[0].timestamp.seconds > 1_700_000_000
    assert history.variable == state.get("x")
    two = state.call(
        "GetVariableHistory", "GetVariableHistoryRequest", variable_identifier="x", limit=2
    )
    assert [entry.version for entry in two.entries] == [4, 3]

    def roll_back(version):
        return state.call(
            "RollbackVariable", "RollbackVariableRequest", variable_identifier="x",
            target_version=version,
        )  # fmt: skip

    back = roll_back(2)
    assert back.success and back.new_version == 5
    assert (back.variable.version, back.variable.value.value) == (5, b"2")
    refused(lambda: roll_back(0), "NOT_FOUND", "SP-NOT-FOUND", "not kept")
    refused(lambda: roll_back(-1), "INVALID_ARGUMENT", "SP-INVAL")


def test_dependencies_never_go_round(state):
    for name in "abc":
        state.register(name, "1")
    assert state.depend("a", "b").success
    assert state.depend("b", "c", "model").success
    refused(lambda: state.depend("a", "b"), "ALREADY_EXISTS", "SP-EXISTS")
    refused(
        lambda: state.depend("c", "a"), "FAILED_PRECONDITION", "SP-CYCLE",
        "c -> a -> b -> c",
    )  # fmt: skip
    refused(lambda: state.depend("a", "x"), "NOT_FOUND", "SP-NOT-FOUND")

    def edges(name=""):
        found = state.call(
            "ListDependencies", "ListDependenciesRequest", variable_identifier=name
        )
        return [
            (d.from_variable, d.to_variable, d.dependency_type) for d in found.dependencies
        ]

    def remove():
        state.call(
            "RemoveDependency", "RemoveDependencyRequest", from_variable="b",
            to_variable="c",
        )  # fmt: skip

    assert edges() == [("a", "b", "data"), ("b", "c", "model")]
    assert edges("b") == [("b", "c", "model")]
    remove()
    refused(remove, "NOT_FOUND", "SP-NOT-FOUND", "does not depend")
    assert edges() == [("a", "b", "data")]


# ---- 0.4: watching ----


def test_a_watch_tells_every_kind_of_change_in_order(state):
    state.register("a", "1", "integer")
    stream = state.watch(initial=True)
    state.register("b", "1", "integer", metadata={"k": "v"}, changed_by="Ann")
    state.set("a", "2", changed_by="Bob")
    state.start("a", "me")
    state.stop("a", force=True)
    state.delete("b")
    updates = [next(stream) for _ in range(6)]
    assert [(u.update_type, u.variable.name) for u in updates] == [
        ("initial", "a"),
        ("registered", "b"),
        ("value_change", "a"),
        ("lock", "a"),
        ("lock", "a"),
        ("deleted", "b"),
    ]
    assert updates[1].update_source == "Ann"
    assert dict(updates[1].update_metadata) == {"k": "v"}
    assert updates[2].variable_id == updates[0].variable_id
    assert updates[2].variable.value.value == b"2"
    assert updates[2].timestamp.seconds > 1_700_000_000
    assert updates[3].variable.optimization_status.optimizer_id == "me"
    stream.cancel()


def test_a_watch_of_some_names_tells_of_those_only(state):
    state.register("a", "1")
    made = state.register("b", "1")
    stream = state.watch(made.variable_id)
    state.set("a", "2")
    state.set("b", "3")
    assert next(stream).variable.value.value == b"3"
    stream.cancel()
    with pytest.raises(grpc.RpcError) as caught:
        next(state.watch("none"))
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_no_change_is_lost_between_writers(state, daemon):
    names = [f"v{i}" for i in range(4)]
    for name in names:
        state.register(name, "0", "integer")
    stream = state.watch(queue_max=50000)

    def write(name):
        with grpc.insecure_channel(daemon.address) as channel:
            mine = State(channel, state.session)
            for i in range(1, 251):
                mine.set(name, str(i))

    writers = [threading.Thread(target=write, args=(name,)) for name in names]
    for writer in writers:
        writer.start()
    seen = {name: [] for name in names}
    for _ in range(1000):
        update = next(stream)
        seen[update.variable.name].append(int(update.variable.value.value))
    for writer in writers:
        writer.join(DEADLINE_S)
    assert all(values == list(range(1, 251)) for values in seen.values())
    stream.cancel()


def test_a_slow_watcher_is_told_that_it_missed_something(state):
    state.register("big", '"x"', "string")
    stream = state.watch(queue_max=4)
    value = json.dumps("x" * (512 << 10))
    for _ in range(40):  # more than fits into the windows of a client that does not read
        state.set("big", value)
    got = 0
    with pytest.raises(grpc.RpcError) as caught:
        for update in stream:
            got += 1
            assert update.variable.version == got  # what came, came without a gap
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "changes waited" in caught.value.details()
    assert 4 <= got < 40


def test_a_watch_ends_with_its_session(state):
    stream = state.watch()
    state.call("CleanupSession", "CleanupSessionRequest")
    with pytest.raises(grpc.RpcError) as caught:
        next(stream)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    assert "ended" in caught.value.details()


# ---- sessions ----


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


# ---- programs, export, import ----


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


def test_variables_move_by_export_and_import(state):
    state.register("n", "1", "integer", constraints_json={"max": 5})
    state.register("s", '"größe"')
    out = state.call("ExportVariables", "ExportVariablesRequest")
    assert out.count == 2
    state.begin(session_id="copy")
    into = {"session_id": "copy", "json": out.json}
    assert state.call("ImportVariables", "ImportVariablesRequest", **into).count == 2
    refused(
        lambda: state.call("ImportVariables", "ImportVariablesRequest", **into),
        "ALREADY_EXISTS", "SP-EXISTS",
    )  # fmt: skip
    copy = State(state.client.channel, "copy")
    assert copy.value("s") == "größe"
    refused(lambda: copy.set("n", "6"), "INVALID_ARGUMENT", "SP-BAD-VALUE")
    state.call("CleanupSession", "CleanupSessionRequest", session_id="copy")


# ---- what is refused ----


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


# ---- arrays as bytes ----


def tensor(shape, dtype="<f8"):
    return json.dumps({"__tensor__": {"dtype": dtype, "shape": shape}})


def packed(numbers, letter="d"):
    return struct.pack(f"<{len(numbers)}{letter}", *numbers)


def test_arrays_come_as_bytes_and_are_kept_as_numbers(state):
    made = state.register(
        "e", tensor([3]), "embedding", initial_binary_value=packed([1, 0.1, -2.5])
    )
    assert made.success
    assert state.value("e") == [1, 0.1, -2.5]
    state.register("t", tensor([2, 2], "<i4"), "tensor",
                   initial_binary_value=packed([1, 2, 3, -4], "i"))  # fmt: skip
    assert state.value("t") == {"shape": [2, 2], "data": [1, 2, 3, -4]}
    state.set("t", tensor([1, 1], "<f4"), binary_value=packed([0.1], "f"))
    assert struct.pack("<f", state.value("t")["data"][0]) == packed([0.1], "f")
    state.set("e", tensor([2], "<f2"), binary_value=struct.pack("<2e", 0.5, 65504))
    assert state.value("e") == [0.5, 65504]
    state.register("i", tensor([2], "|b1"), "", initial_binary_value=b"\x01\x00")
    assert (state.get("i").type, state.value("i")) == ("embedding", [1, 0])
    updates = {"e": state.any(tensor([1])), "t": state.any('{"shape": [1], "data": [7]}')}
    done = state.call(
        "SetVariables", "BatchSetVariablesRequest", updates=updates,
        binary_updates={"e": packed([9])},
    )  # fmt: skip
    assert done.success
    assert (state.value("e"), state.value("t")["data"]) == ([9], [7])


def test_arrays_go_as_bytes_to_who_accepts_them(state):
    numbers = [i / 7 for i in range(20000)]
    state.register(
        "t", tensor([200, 100]), "tensor", initial_binary_value=packed(numbers)
    )
    state.register("e", tensor([2]), "embedding", initial_binary_value=packed([1, 2]))
    assert state.value("t")["data"] == numbers
    found = state.call(
        "GetVariable", "GetVariableRequest", variable_identifier="t", accept_binary=True
    ).variable
    assert json.loads(found.value.value) == json.loads(tensor([200, 100]))
    assert found.binary_value == packed(numbers)
    many = state.call(
        "GetVariables", "BatchGetVariablesRequest", variable_identifiers=["t", "e"],
        accept_binary=True,
    ).variables  # fmt: skip
    assert many["t"].binary_value == packed(numbers)
    assert json.loads(many["e"].value.value) == [1, 2]  # a small one stays JSON


@pytest.mark.parametrize(
    ("stub", "data", "text"),
    [
        (tensor([2]), packed([1]), "16"),
        (tensor([2], "<c16"), packed([1, 2, 3, 4]), "real"),
        (tensor([1], "|O"), packed([1]), ""),
        (tensor([2, 1]), packed([1, 2]), "one dimension"),
        (tensor([1 << 62, 1 << 62]), packed([1]), ""),
    ],
)
def test_an_array_that_is_not_what_it_says_is_refused(state, stub, data, text):
    with pytest.raises(grpc.RpcError) as caught:
        state.register("x", stub, "embedding", initial_binary_value=data)
    assert caught.value.code().name in ("INVALID_ARGUMENT", "RESOURCE_EXHAUSTED")
    assert text in caught.value.details()
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
        peer.settimeout(DEADLINE_S)
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


# ---- the table of types and constraints ----


def rows():
    for number, line in enumerate(TABLE.read_text(encoding="utf-8").split("\n"), 1):
        if line and not line.startswith("#"):
            yield number, *line.split("\t")


def test_the_table_of_types_comes_true_over_the_wire(channel):
    state = State(channel, "table")
    wrong = []
    count = 0
    for number, kind, constraints, value, outcome, text in rows():
        if count % 500 == 0:  # a session takes 600 variables
            state.session = f"table {number}"
            state.begin()
        count += 1
        name = f"row_{number}"
        try:
            state.register(name, value, kind, constraints_json=constraints)
            got = ("ok", state.get(name).value.value.decode())
            sent = f'"{text}"' if text in ("NaN", "Infinity", "-Infinity") else text
            right = outcome == "ok" and got[1] == sent
        except grpc.RpcError as error:
            trailers = dict(error.trailing_metadata())
            got = (trailers["snakepit-reason"], error.details())
            right = got[0] == outcome and text in got[1]
        if not right:
            wrong.append((number, kind, constraints, value, outcome, text, got))
    assert wrong == []
    assert count >= 300


# ---- tools are another's; unknown methods nobody's ----


def test_an_unknown_method_is_unimplemented(channel):
    call = channel.unary_unary("/snakepit.bridge.BridgeService/SetVariabel")
    with pytest.raises(grpc.RpcError) as caught:
        call(b"", timeout=DEADLINE_S)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
