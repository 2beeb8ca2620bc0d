# SPDX-License-Identifier: MIT
"""The calls about variables, each driven by grpcio as Debian has it against snakepitd.

First the calls of the original's 0.4, as a stock client makes them; then those of ours.
"""

import json
import struct
import threading

import pytest

grpc = pytest.importorskip("grpc", reason="needs python3-grpcio")

import peers
from stock_state import FIXTURES, State, refused

daemon, channel, state = FIXTURES
TABLE = peers.ROOT / "test" / "data" / "variables.tsv"


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
        writer.join(peers.DEADLINE_S)
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


# ---- export and import ----


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
