# SPDX-License-Identifier: MIT
"""Variables, programs and sessions from Python: a real pit, a real worker, and the host
looking at the same state from its side."""

import json
import os
import time

import pytest

import cli_tool
import peers
import states

# Runs a piece of Python inside the worker, as a plain tool or as a coroutine, with the
# call's context as ctx.
TOOLS = '''
import asyncio, textwrap, traceback
from snakepit_bridge import *
from snakepit_bridge import current
import snakepit_bridge

def _body(head, code):
    names = {name: getattr(snakepit_bridge, name) for name in snakepit_bridge.__all__}
    names["asyncio"] = asyncio
    exec(head + " body(ctx):\\n" + textwrap.indent(textwrap.dedent(code), "    "), names)
    return names["body"]

def plain(code: str):
    try:
        return {"value": _body("def", code)(current())}
    except Exception:
        return {"raised": traceback.format_exc()}

async def coroutine(code: str):
    try:
        return {"value": await _body("async def", code)(current())}
    except Exception:
        return {"raised": traceback.format_exc()}

def count(ctx, to: int):
    for _ in range(to):
        ctx["x"] += 1
        yield ctx["x"]

def fails(code: str):
    return _body("def", code)(current())

async def fails_async(code: str):
    return await _body("async def", code)(current())
'''


class Session:
    """A session, and code that runs in its worker."""

    def __init__(self, pit, name):
        self.pit = pit
        self.name = name

    def run(self, code, tool="plain"):
        """What the code returns, run with ctx in the worker."""
        answer = self.pit.execute(tool, {"code": code}, self.name)
        assert "raised" not in answer, answer["raised"]
        return answer["value"]

    def run_async(self, code):
        return self.run(code, "coroutine")

    def set(self, name, value):
        self.pit.set(self.name, name, value)

    def value(self, name):
        return self.pit.variable(self.name, name)["value"]


@pytest.fixture(scope="module")
def pit(tmp_path_factory):
    place = tmp_path_factory.mktemp("state")
    (place / "tools.py").write_text(TOOLS)
    with states.StatePit(states.write_config(place, python=(place / "tools.py", 2))) as opened:
        yield opened


@pytest.fixture
def session(pit, request):
    name = request.node.name[:200]
    pit.create_session(name)
    yield Session(pit, name)
    pit.end_session(name)


class Gate:
    """A place in a worker's code at which it says so and waits."""

    def __init__(self, place):
        self._notes = peers.Notes(place / "notes")
        self._go = place / "go"
        os.mkfifo(self._go)
        self.WAIT = (
            f'open({str(place / "notes")!r}, "w").write("here\\n"); '
            f"open({str(self._go)!r}).read()"
        )

    def await_worker(self):
        self._notes.wait_for("here")

    def open(self):
        self._go.write_text("go")

    def close(self):
        self._notes.__exit__()


@pytest.fixture
def gate(tmp_path):
    made = Gate(tmp_path)
    yield made
    made.close()


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
    other = Session(pit, "imported")
    assert other.run(f"""
        count = ctx.import_variables({exported!r})
        try:
            ctx["x"] = 2
        except BadValue:
            return [count, ctx["x"], ctx["words"]]
    """) == [2, 0.5, ["a", "b"]]
    pit.end_session("imported")


# ---- locks, dependencies, programs, the session ----


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


def test_programs(session):
    assert session.run("""
        ctx.store_program("p", {"steps": [1, 2]})
        assert ctx.get_program("p") == {"steps": [1, 2]}
        ctx.update_program("p", ["other"])
        try:
            ctx.update_program("q", 1)
        except NotFound:
            pass
        listed = ctx.list_programs()
        assert [p["id"] for p in listed] == ["p"] and listed[0]["data"] == ["other"]
        ctx.delete_program("p")
        ctx.store_global_program("shared", 7, ttl=3600)
        assert ctx.get_global_program("shared") == 7
        ctx.update_global_program("shared", 8)
        rest = [p["remaining"] for p in ctx.list_global_programs() if p["id"] == "shared"]
        ctx.store_global_program("for ever", 1, ttl=None)
        endless = [p["remaining"] for p in ctx.list_global_programs()
                   if p["id"] == "for ever"]
        ctx.delete_global_program("shared")
        ctx.delete_global_program("for ever")
        return [ctx.list_programs(), 0 < rest[0] <= 3600, endless]
    """) == [[], True, [None]]


def test_the_session_itself(session):
    assert session.run("""
        ctx.update_metadata({"owner": "ann", "level": 3})
        ctx["x"] = 1
        info = ctx.session_info()
        assert info["variables"] == 1 and info["programs"] == 0 and info["bytes"] > 0
        assert info["created_at"] <= info["used_at"] and info["durability"] == "memory"
        return [info["id"] == ctx.session_id, ctx.metadata]
    """) == [True, {"owner": "ann", "level": 3}]


def test_a_call_begins_its_session_when_it_keeps_something(pit):
    fresh = Session(pit, "not begun by anybody")
    assert fresh.run("""
        assert "x" not in ctx and list(ctx) == []
        ctx["x"] = 1
        return ctx.session_info()["variables"]
    """) == 1
    assert fresh.value("x") == 1
    pit.end_session(fresh.name)


def test_a_session_that_ends_under_a_call_stays_ended(pit, gate):
    pit.create_session("under a call")
    call = pit.begin("plain", {"code": f"""
        ctx["x"] = 1
        {gate.WAIT}
        try:
            ctx["x"] = 2
        except NotFound as failure:
            return type(failure).__name__
    """}, "under a call")  # fmt: skip
    gate.await_worker()
    pit.end_session("under a call")
    gate.open()
    assert pit.result(call) == {"value": "NotFound"}
    with pytest.raises(states.Refused, match="SP-NOT-FOUND"):
        pit.variable("under a call", "x")


def test_a_call_leaves_nothing_behind(session):
    """Contexts hold their calls and calls their contexts: the ring ends with the call."""
    session.run('ctx["x"] = 0')
    left = [
        session.run("""
            import gc
            ctx["x"] += 1
            watch = ctx.watch("x")
            ctx["x"] += 1
            assert watch.next(20).kind == "value"
            gc.disable()
            kinds = (SessionContext, type(watch))
            return sum(isinstance(found, kinds) for found in gc.get_objects())
        """)
        for _ in range(200)
    ]
    assert max(left) <= 4, left  # this call's, and what a frame of the last one holds
    session.run_async("""
        for _ in range(100):
            await ctx["x"]
            ctx.set_variable("x", 1)
    """)


def test_a_call_without_a_session_keeps_global_programs_only(pit):
    answer = pit.execute("plain", {"code": """
        ctx.store_global_program("p", 1)
        assert ctx.get_global_program("p") == 1
        ctx.delete_global_program("p")
        for ask in (lambda: ctx["x"], lambda: ctx.register_variable("x", "float", 1),
                    lambda: ctx.store_program("p", 1), lambda: ctx.session_info()):
            try:
                ask()
            except HostError as failure:
                assert "no session" in str(failure)
            else:
                return "taken"
        return "x" in ctx
    """}, None)
    assert answer == {"value": False}, answer


# ---- with and without await ----

EVERYTHING = """
    {w}ctx.register_variable("x", "integer", 1, {{"max": 100}})
    {w}ctx.set_variable("x", 2)
    {w}ctx.update_variable("x", 3)
    ctx["x"] = 4
    first = {w}ctx["x"]
    second = {w}ctx.get_variable("x", bypass_cache=True)
    third = {w}ctx.get_variable("none", None)
    batch = {w}ctx.get_variables(["x"])
    done = {w}ctx.update_variables({{"x": 5}})
    rows = {w}ctx.list_variables()
    versions = {w}ctx.history("x")
    version = {w}ctx.rollback("x", 0)
    owner = {w}ctx.lock("x", "me")
    unlocked = {w}ctx.unlock("x", "me")
    {w}ctx.register_variable("y", "integer", 1)
    {w}ctx.add_dependency("x", "y")
    pairs = {w}ctx.dependencies("x")
    {w}ctx.remove_dependency("x", "y")
    exported = {w}ctx.export_variables()
    {w}ctx.delete_variable("y")
    {w}ctx.store_program("p", [1])
    program = {w}ctx.get_program("p")
    {w}ctx.delete_program("p")
    {w}ctx.update_metadata({{"k": "v"}})
    metadata = {w}ctx.metadata
    return [first + 0, second * 1, third == None, dict(batch)["x"], done["x"] == True,
            len(rows), len(versions), version + 0, str(owner), unlocked + 0,
            [list(pair) for pair in pairs], len(exported), program[0], dict(metadata),
            "y" in ctx]
"""
EXPECTED = [4, 4, True, 4, True, 1, 5, 5, "me", 1, [["x", "y", "data"]], 2, 1,
            {"k": "v"}, False]  # fmt: skip


def test_everything_in_a_plain_tool(session):
    assert session.run(EVERYTHING.format(w="")) == EXPECTED


def test_everything_awaited(session):
    assert session.run_async(EVERYTHING.format(w="await ")) == EXPECTED


def test_everything_in_a_coroutine_without_await(session):
    assert session.run_async(EVERYTHING.format(w="")) == EXPECTED


def test_awaiting_lets_other_coroutines_run(session):
    """Two coroutines of one tool pass a token to and fro through the host."""
    assert session.run_async("""
        async def player(watch, other, rounds):
            async for change in watch:
                await ctx.set_variable(other, change.value + 1)
                rounds -= 1
                if rounds == 0:
                    return change.value
        await ctx.register_variable("ping", "integer", 0)
        await ctx.register_variable("pong", "integer", 0)
        async with ctx.watch("ping") as ping, ctx.watch("pong") as pong:
            players = [player(ping, "pong", 10), player(pong, "ping", 10)]
            await ctx.set_variable("ping", 1)
            return await asyncio.gather(*players)
    """) == [19, 20]


def test_what_is_sent_is_what_there_was(session):
    """A coroutine goes on while its questions wait for their turn."""
    assert session.run_async("""
        import numpy
        words, row = ["a"], numpy.zeros(2)
        ctx.register_variable("words", "list", words)
        ctx.register_variable("row", "embedding", row)
        for i in range(100):
            ctx.set_variable("words", words)
            ctx.set_variable("row", row)
            words.append("b")
            row += 1
        return [len(await ctx["words"]), await ctx["row"]]
    """) == [100, [99.0, 99.0]]


def test_an_unawaited_refusal_fails_the_call(session):
    with pytest.raises(states.Refused, match="SP-REMOTE"):
        session.pit.execute(
            "fails_async", {"code": 'ctx.set_variable("none", 1)'}, session.name
        )
    session.pit.execute(
        "fails_async", {"code": 'ctx.register_variable("x", "integer", 7)'}, session.name
    )
    assert session.value("x") == 7  # not awaited, and done before the call has ended


# ---- the cache ----


def test_a_read_is_cached_and_what_is_newer_can_be_had(session, gate):
    """Another worker writes meanwhile: the cached value may be old, nothing else is."""
    session.pit.register(session.name, "x", "integer", 1)
    call = session.pit.begin("plain", {"code": f"""
        import os
        assert ctx["x"] == 1
        {gate.WAIT}
        cached = ctx["x"]
        listed = ctx.list_variables("x")[0]["value"]
        info = ctx.variable_info("x")["value"]
        fresh = ctx.get_variable("x", bypass_cache=True)
        again = ctx["x"]
        ctx["x"] = 5
        return [os.getpid(), cached, listed, info, fresh, again, ctx["x"]]
    """}, session.name)  # fmt: skip
    gate.await_worker()
    other = session.run("""
        import os
        ctx["x"] = 2
        return os.getpid()
    """)
    gate.open()
    answer = session.pit.result(call)["value"]
    assert answer[0] != other
    assert answer[1:] == [1, 2, 2, 2, 2, 5]


def test_a_value_is_not_served_beyond_its_time(session, gate):
    session.pit.register(session.name, "x", "integer", 1)
    call = session.pit.begin("plain", {"code": f"""
        import datetime, time
        ctx.set_cache_ttl(datetime.timedelta(seconds=0.2))
        assert ctx["x"] == 1
        read = time.monotonic()
        {gate.WAIT}
        while time.monotonic() < read + 0.2:
            assert ctx["x"] in (1, 2)
        return ctx["x"]
    """}, session.name)  # fmt: skip
    gate.await_worker()
    session.set("x", 2)
    gate.open()
    assert session.pit.result(call) == {"value": 2}


def test_a_call_begins_with_nothing_cached(session):
    session.pit.register(session.name, "x", "integer", 0)
    for i in range(1, 50):
        session.set("x", i)
        assert session.run('return ctx["x"]') == i


@pytest.mark.parametrize("ttl", [0, 0.005, 0.05])
@pytest.mark.parametrize("tool, word", [("plain", ""), ("coroutine", "await ")])
def test_no_read_is_older_than_the_rule_allows(session, gate, tool, word, ttl):
    """The host counts up; for each value, the last time it was served is compared with
    the time at which the next one had been written. One clock, no luck needed."""
    last = 500
    session.pit.register(session.name, "x", "integer", 0)
    call = session.pit.begin(tool, {"code": f"""
        import time
        ctx.set_cache_ttl({ttl})
        served, value = [0.0] * {last + 1}, {word}ctx.get_variable("x")
        {gate.WAIT}
        while value < {last}:
            asked = time.monotonic()
            value = {word}ctx.get_variable("x")
            served[value] = asked
        return served
    """}, session.name)  # fmt: skip
    gate.await_worker()
    gate.open()
    written = [0.0]
    for i in range(1, last + 1):
        session.set("x", i)
        written.append(time.monotonic())
        session.run("return 0")  # the other worker: the reader has time to read
    served = session.pit.result(call)["value"]
    seen = [i for i in range(last) if served[i] > 0]
    late = [(i, served[i] - written[i + 1]) for i in seen]
    assert all(age <= ttl for _, age in late), max(late, key=lambda pair: pair[1])


def test_no_time_to_live_asks_always(session):
    assert session.run("""
        ctx.set_cache_ttl(0)
        ctx["x"] = 1
        assert ctx["x"] == 1
        return len(ctx._cache._entries)
    """) == 0


def test_what_is_read_may_be_changed_without_changing_the_cache(session):
    assert session.run("""
        ctx["l"] = [1, [2]]
        first = ctx["l"]
        first[1].append(3)
        return ctx["l"]
    """) == [1, [2]]


# ---- watching ----


def test_changes_come_in_order_and_none_is_left_out(session):
    assert session.run("""
        ctx.register_variable("x", "integer", 0)
        with ctx.watch("x", initial=True) as watch:
            for i in range(1, 201):
                ctx["x"] = i
            ctx.delete_variable("x")
            seen = [watch.next(20) for _ in range(202)]
            late = watch.next(0)
        kinds = [change.kind for change in seen]
        assert kinds == ["initial"] + ["value"] * 200 + ["deleted"], kinds
        assert [c.version for c in seen[:-1]] == list(range(201))
        return [[c.value for c in seen[:-1]] == list(range(201)), late]
    """) == [True, None]


def test_a_watch_sees_the_host_and_drops_what_was_cached(session, gate):
    session.pit.register(session.name, "x", "integer", 1)
    call = session.pit.begin("coroutine", {"code": f"""
        assert await ctx["x"] == 1
        async with ctx.watch() as watch:
            assert await watch.next(0) is None
            {gate.WAIT}
            async for change in watch:
                break
        return [change.kind, change.name, change.value, await ctx["x"]]
    """}, session.name)  # fmt: skip
    gate.await_worker()
    session.set("x", 2)
    gate.open()
    assert session.pit.result(call) == {"value": ["value", "x", 2, 2]}


def test_a_change_nobody_waited_for_long_enough_is_the_next_one(session):
    assert session.run_async("""
        await ctx.register_variable("x", "integer", 0)
        async with ctx.watch("x") as watch:
            assert await watch.next(0.01) is None
            waiting = asyncio.ensure_future(watch.next())
            await asyncio.wait([waiting], timeout=0.01)
            waiting.cancel()
            for i in (1, 2, 3):
                await ctx.set_variable("x", i)
            return [(await watch.next()).value for _ in range(3)]
    """) == [1, 2, 3]


def test_a_watch_ends_with_its_session(pit):
    pit.create_session("ending")
    gone = Session(pit, "ending")
    call = pit.begin("plain", {"code": """
        ctx.register_variable("x", "integer", 0)
        with ctx.watch() as watch:
            ctx["x"] = 1
            seen = [change.kind for change in watch]
        return seen
    """}, gone.name)  # fmt: skip

    def has_written():
        try:
            return pit.variable("ending", "x")["version"] == 1
        except states.Refused:
            return False

    cli_tool.wait_until(has_written, "the call's write")
    pit.end_session("ending")
    assert pit.result(call) == {"value": ["value"]}


def test_a_stream_asks_between_its_chunks(session):
    session.pit.register(session.name, "x", "integer", 0)
    seen = []
    for chunk in session.pit.chunks("count", {"to": 5}, session.name):
        seen.append(chunk)
    assert seen == [1, 2, 3, 4, 5] and session.value("x") == 5


def test_a_watch_nobody_closed_ends_with_the_call(session):
    assert session.run("""
        import threading
        ctx["x"] = 1
        watch = ctx.watch("x")
        global ended
        ended = threading.Event()
        def follow():
            for change in watch:
                pass
            ended.set()
        threading.Thread(target=follow, daemon=True).start()
        globals_of_worker = __import__("builtins")
        globals_of_worker.test_ended = ended
        return "end"
    """) == "end"
    with_same_worker = session.run("""
        import builtins
        return hasattr(builtins, "test_ended") and builtins.test_ended.wait(20)
    """)
    assert with_same_worker is True


def test_a_watcher_that_does_not_take_is_told(session):
    assert session.run("""
        ctx.register_variable("x", "integer", 0)
        watch = ctx.watch("x", queue_max=4)
        for i in range(20_000):
            ctx["x"] = i
        taken = 0
        try:
            while watch.next(20) is not None:
                taken += 1
        except WatchTooSlow:
            return 0 < taken < 20_000
    """) is True


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
