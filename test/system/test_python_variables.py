# SPDX-License-Identifier: MIT
"""Variables of a session from Python: a real pit, a real worker, and the host looking at the
same state from its side."""

import json

import pytest

import peers
import python_code
import states


# ---- one variable ----


def test_what_the_worker_writes_the_host_reads(session):
    found = session.run("""
        ident = ctx.register_variable("temperature", "float", 1, {"min": 0, "max": 2},
                                      {"unit": "K"})
        assert ident.startswith("var_temperature_"), ident
        assert ctx.set_variable("temperature", 0.5) == 1
        return [ident, ctx.get_variable(ident), ctx["temperature"]]
    """)
    assert found[1:] == [0.5, 0.5]
    seen = session.pit.variable(session.name, "temperature")
    assert (seen["type"], seen["value"], seen["version"]) == ("float", 0.5, 1)
    assert seen["changed_by"] == "python"


def test_what_the_host_writes_the_worker_reads(session):
    session.pit.register(session.name, "x", "integer", 41)
    assert session.run('return ctx["x"] + 1') == 42
    session.set("x", 42)
    assert session.run('return ctx["x"]') == 42


def test_as_a_mapping(session):
    assert session.run("""
        assert "x" not in ctx and len(ctx) == 0 and ctx and list(ctx) == []
        ctx["x"], ctx["s"], ctx["b"] = 1.5, "text", True
        ctx["l"], ctx["m"], ctx["i"] = [1, "a"], {"a": [1]}, 7
        assert list(ctx) == ["x", "s", "b", "l", "m", "i"] and len(ctx) == 6
        assert "x" in ctx and ctx["l"] == [1, "a"] and ctx["m"] == {"a": [1]}
        ctx["x"] = 2.5
        del ctx["s"]
        assert "s" not in ctx
        try:
            del ctx["s"]
        except KeyError as failure:
            assert isinstance(failure, VariableNotFound)
        types = {row["name"]: row["type"] for row in ctx.list_variables()}
        return [ctx["x"], types]
    """) == [2.5, {"x": "float", "b": "boolean", "l": "list", "m": "map", "i": "integer"}]


def test_strict_mode_registers_nothing(session):
    assert session.run("""
        ctx.strict_mode = True
        try:
            ctx["x"] = 1
        except VariableNotFound as failure:
            return [failure.code, "x" in ctx]
    """) == ["SP-NOT-FOUND", False]


def test_as_attributes_and_proxies(session):
    assert session.run("""
        ctx.v.x = 1
        ctx.v.x += 1
        proxy = ctx.variable("x")
        proxy.value += 1
        assert not hasattr(ctx.v, "y")
        with ctx.batch_updates() as batch:
            batch["x"] = 10
        return [ctx.v.x, proxy.value, ctx["x"]]
    """) == [10, 10, 10]
    assert session.value("x") == 10


def test_special_floats(session):
    assert session.run("""
        nan, inf = float("nan"), float("inf")
        ctx.register_variable("f", "float", nan)
        assert ctx["f"] != ctx["f"]
        for value in (inf, -inf, 0.1, 1e300):
            ctx["f"] = value
            assert ctx["f"] == value and type(ctx["f"]) is float
        ctx["f"] = 3
        return repr(ctx["f"])
    """) == "3.0"


def test_a_batch_of_embeddings(session):
    """Well over what goes as JSON in a call: the rows of a matrix, as the README has."""
    assert session.run("""
        rows = [[i + j / 512 for j in range(512)] for i in range(16)]
        ctx.register_variable("rows", "list", rows)
        ctx.register_variable("row", "embedding", rows[3], {"dimensions": 512})
        stored = ctx.get_variable("rows", bypass_cache=True)
        assert stored == rows and ctx["row"] == rows[3]
        return {"shape": [len(stored), len(stored[0])]}
    """) == {"shape": [16, 512]}


def test_arrays_take_the_form_of_the_variable(session):
    assert session.run("""
        import numpy
        ctx["scalar"], ctx["n"] = numpy.float32(0.5), numpy.int64(7)
        ctx["row"] = numpy.arange(3.0)
        ctx["grid"] = numpy.arange(6).reshape(2, 3)
        ctx.register_variable("flat", "tensor", numpy.zeros(2))
        ctx["flat"] = numpy.ones(4)
        ctx.update_variables({"row": numpy.zeros(2)})
        types = {row["name"]: row["type"] for row in ctx.list_variables()}
        return [types, ctx["scalar"], ctx["n"], ctx["row"], ctx["grid"], ctx["flat"]]
    """) == [
        {"scalar": "float", "n": "integer", "row": "embedding", "grid": "tensor",
         "flat": "tensor"},
        0.5, 7, [0.0, 0.0], {"shape": [2, 3], "data": [0, 1, 2, 3, 4, 5]},
        {"shape": [4], "data": [1.0, 1.0, 1.0, 1.0]},
    ]  # fmt: skip


def test_large_arrays_come_back_as_arrays(session):
    """They go as bytes: the worker never makes a list of the numbers."""
    assert session.run("""
        import array, numpy
        from snakepit_bridge import _variables
        def none(*anything):
            raise AssertionError("written as JSON")
        plainly, _variables._from_array = _variables._from_array, none
        try:
            grid = numpy.random.default_rng(7).standard_normal((100, 100))
            row = numpy.random.default_rng(8).standard_normal(5000)
            ctx["grid"] = grid
            ctx.register_variable("row", "embedding", row, {"dimensions": 5000})
            seen = [ctx["grid"], ctx.get_variable("row", bypass_cache=True)]
            assert all(type(x) is numpy.ndarray and x.dtype == "float64" for x in seen)
            assert (seen[0] == grid).all() and (seen[1] == row).all()
            assert not seen[0].flags.writeable

            ctx.set_variable("row", -row)
            ctx.update_variables({"grid": grid.T})
            many = ctx.get_variables(["row", "grid"])
            assert (many["row"] == -row).all() and (many["grid"] == grid.T).all()
            for other in (array.array("d", row), memoryview(row), row[::-1], row[:5000]):
                ctx["row"] = other
                assert (ctx["row"] == numpy.asarray(other)).all()
            with ctx.batch_updates() as batch:
                batch["row"], batch["grid"] = row, grid
            listed = {found["name"]: found["value"] for found in ctx.list_variables()}
            assert (listed["row"] == row).all() and (listed["grid"] == grid).all()
            assert (ctx.history("row")[0]["value"] == row).all()
            ctx.register_variable("rows", "list", [])
            ctx["rows"] = grid
            assert ctx["rows"] == grid.tolist()
            return [list(ctx["grid"].shape), len(ctx["row"])]
        finally:
            _variables._from_array = plainly
    """) == [[100, 100], 5000]
    assert session.value("grid")["shape"] == [100, 100]


def test_large_arrays_without_numpy(session):
    """Then a value is what a small one is."""
    assert session.run("""
        import array
        from snakepit_bridge import _arrays
        real, _arrays._numpy = _arrays._numpy, lambda: None
        try:
            row = array.array("d", [i / 7 for i in range(5000)])
            ctx["row"] = row
            ctx["grid"] = memoryview(row).cast("B").cast("d", (50, 100))
            assert ctx["row"] == row.tolist()
            assert ctx["grid"] == {"shape": [50, 100], "data": row.tolist()}
            return {r["name"]: r["type"] for r in ctx.list_variables()}
        finally:
            _arrays._numpy = real
    """) == {"row": "embedding", "grid": "tensor"}


@pytest.mark.parametrize("code, kind, code_name", [
    ('ctx["none"]', "VariableNotFoundError", "SP-NOT-FOUND"),
    ('ctx.set_variable("none", 1)', "VariableNotFoundError", "SP-NOT-FOUND"),
    ('ctx.delete_variable("none")', "VariableNotFoundError", "SP-NOT-FOUND"),
    ('ctx.history("none")', "VariableNotFoundError", "SP-NOT-FOUND"),
    ('ctx.set_variable("x", "word")', "BadValue", "SP-BAD-VALUE"),
    ('ctx.set_variable("x", 11)', "BadValue", "SP-BAD-VALUE"),
    ('ctx.register_variable("x", "integer", 1)', "AlreadyExists", "SP-EXISTS"),
    ('ctx.register_variable("y", "no type", 1)', "BadValue", None),
    ('ctx.register_variable("y", "integer", 1, {"mx": 1})', "BadValue", "SP-BAD-VALUE"),
    ('ctx.register_variable("", "integer", 1)', "BadValue", "SP-INVAL"),
    ('ctx.set_variable("x", 2, expected_version=7)', "VersionConflict", "SP-CONFLICT"),
    ('ctx.rollback("x", 7)', "NotFound", "SP-NOT-FOUND"),
    ('ctx.get_program("none")', "NotFound", "SP-NOT-FOUND"),
])  # fmt: skip
def test_refusals_are_exceptions_of_their_own(session, code, kind, code_name):
    session.pit.register(session.name, "x", "integer", 1)
    session.run('ctx.rollback("x", 0); ctx.delete_variable("x")')
    session.run('ctx.register_variable("x", "integer", 1, {"max": 10})')
    found = session.run(f"""
        try:
            {code}
        except HostError as failure:
            return [type(failure).__name__, failure.code, str(failure)]
    """)
    assert found[0] == kind and found[2], found
    assert code_name in (None, found[1])
    assert session.value("x") == 1


def test_a_name_with_a_nul_never_leaves_the_worker(session):
    assert session.run("""
        for ask in (lambda: ctx["a\\0b"], lambda: ctx.get_variables(["a\\0b"]),
                    lambda: ctx.register_variable("a\\0b", "integer", 1)):
            try:
                ask()
            except ValueError as failure:
                assert not isinstance(failure, HostError)
            else:
                return "taken"
        return len(ctx)
    """) == 0


# ---- several ----


def test_batches(session):
    assert session.run("""
        for name in "abc":
            ctx.register_variable(name, "integer", 0, {"max": 9})
        assert ctx.get_variables(["a", "b"]) == {"a": 0, "b": 0}
        done = ctx.update_variables({"a": 1, "b": 99, "c": 3})
        assert done["a"] is True and done["c"] is True and "99" in done["b"], done
        assert ctx.get_variables("abc") == {"a": 1, "b": 0, "c": 3}
        try:
            ctx.set_variables({"a": 5, "b": 99}, atomic=True)
        except BadValue as failure:
            message = str(failure)
        assert ctx["a"] == 1
        assert ctx.set_variables({"a": 6, "b": 7}, atomic=True) == {"a": True, "b": True}
        try:
            ctx.get_variables(["a", "no", "neither"])
        except VariableNotFound as failure:
            missing = str(failure)
        return [ctx.get_variables(["a", "b", "c"]), "99" in message, missing]
    """) == [{"a": 6, "b": 7, "c": 3}, True, "no variable 'no', 'neither'"]


def test_lists_by_pattern(session):
    assert session.run("""
        for name in ("temp_a", "temp_b", "other"):
            ctx.register_variable(name, "integer", 1)
        row = ctx.list_variables("other")[0]
        assert row["id"].startswith("var_other_") and row["optimizing"] is False
        assert (row["type"], row["value"], row["version"]) == ("integer", 1, 0)
        assert row["constraints"] == {} and row["metadata"] is not None
        return [row["name"] for row in ctx.list_variables("temp_*")]
    """) == ["temp_a", "temp_b"]


def test_history_and_rollback(session):
    assert session.run("""
        ctx.register_variable("x", "integer", 0)
        for i in range(1, 4):
            ctx.update_variable("x", i, {"step": i})
        entries = ctx.history("x")
        assert [(e["version"], e["value"]) for e in entries] == [
            (3, 3), (2, 2), (1, 1), (0, 0)]
        assert entries[0]["metadata"]["step"] == 3 and entries[0]["changed_by"] == "python"
        assert len(ctx.get_variable_history("x", limit=2)) == 2
        assert ctx.rollback("x", 1) == 4
        return ctx["x"]
    """) == 1


def test_export_and_import(session, pit):
    exported = session.run("""
        ctx.register_variable("x", "float", 0.5, {"max": 1})
        ctx["words"] = ["a", "b"]
        return ctx.export_variables()
    """)
    assert [row["name"] for row in exported] == ["x", "words"]
    pit.create_session("imported")
    other = python_code.Session(pit, "imported")
    assert other.run(f"""
        count = ctx.import_variables({exported!r})
        try:
            ctx["x"] = 2
        except BadValue:
            return [count, ctx["x"], ctx["words"]]
    """) == [2, 0.5, ["a", "b"]]
    pit.end_session("imported")


# ---- locks and dependencies ----


def test_a_lock_has_an_owner(session):
    assert session.run("""
        ctx.register_variable("x", "integer", 0)
        owner = ctx.lock("x")
        ctx["x"] = 1
        assert ctx.list_variables("x")[0]["optimizing"] is True
        try:
            ctx.lock("x", "somebody")
        except VariableLocked as failure:
            assert owner in str(failure), failure
        assert ctx.unlock("x") == 1
        ctx.start_optimization("x", "optimizer-7")
        return owner != "optimizer-7"
    """)
    assert session.pit.variable(session.name, "x")["locked_by"] == "optimizer-7"
    with pytest.raises(states.Refused, match="SP-LOCKED"):
        session.set("x", 9)
    assert session.run("""
        try:
            ctx["x"] = 2
        except VariableLocked:
            pass
        try:
            ctx.unlock("x")
        except ValueError:
            pass
        assert ctx.set_variable("x", 5, owner="optimizer-7") == 2
        return ctx.stop_optimization("x", force=True)
    """) == 5
    session.set("x", 9)


def test_dependencies_make_no_ring(session):
    assert session.run("""
        for name in "abc":
            ctx.register_variable(name, "integer", 0)
        ctx.add_dependency("a", "b")
        ctx.add_dependency("b", "c", "model")
        try:
            ctx.add_dependency("c", "a")
        except DependencyCycle as failure:
            message = str(failure)
        assert "a" in message and "c" in message
        ctx.remove_dependency("a", "b")
        ctx.add_dependency("c", "a")
        return sorted(map(list, ctx.dependencies()))
    """) == [["b", "c", "model"], ["c", "a", "data"]]


# ---- the mixin ----


def test_variable_aware_mixin(session):
    assert session.run("""
        import threading
        seen, ready = [], threading.Event()
        def changed(name, old, new, metadata):
            seen.append([name, old, new])
            if len(seen) == 2:
                ready.set()
        class Aware(VariableAwareMixin):
            pass
        with Aware(None, ctx.session_id) as aware:
            aware.register_variable("x", "integer", 1, {"max": 10})
            watch = aware.watch_variable("x", changed)
            aware.set_variable("x", 2)
            aware.set_variable("x", 3)
            assert ready.wait(20), seen
        try:
            Aware(None, "another session").get_variable("x")
        except HostError as failure:
            refused = failure.code
        return [seen, aware.get_variable("x"), aware._infer_type(1.5), refused]
    """) == [[["x", 1, 2], ["x", 2, 3]], 3, "float", "SP-REFUSED"]


# ---- the table ----


def rows():
    table = peers.ROOT / "test" / "data" / "variables.tsv"
    for line in table.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            yield (line.split("\t") + [""] * 5)[:5]


def test_every_row_of_the_table_of_types(session):
    """One call: each value is registered, and set, as the JSON text the row has."""
    table = list(rows())
    assert len(table) >= 450
    outcomes = session.run(f"""
        import json
        outcomes = []
        for i, (kind, constraints, value, outcome, _) in enumerate({table!r}):
            name = "v%d" % i
            text = constraints.encode() if constraints else None
            try:
                variable = ctx._call.variable_register(
                    name, kind, value.encode(), text, None)
            except HostError as failure:
                outcomes.append([failure.code, str(failure)])
                assert name not in ctx
                continue
            assert ctx.get_variable(name) == variable["value"] or "NaN" in value
            outcomes.append(["ok", variable["value"]])
        return outcomes
    """)
    wrong = []
    for row, outcome in zip(table, outcomes):
        kind, _, _, expected, detail = row
        if expected == "ok":
            kept = json.loads(detail)
            fits = outcome[0] == "ok" and repr(outcome[1]) == repr(
                float(kept) if kind == "float" else kept
            )
        else:
            fits = outcome[0] == expected and detail in outcome[1]
        if not fits:
            wrong.append((row, outcome))
    assert wrong == []
