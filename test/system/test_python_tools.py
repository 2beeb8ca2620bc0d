# SPDX-License-Identifier: MIT
"""Tools in both directions from Python: a worker calls functions of the program that
hosts it, and tools of other workers."""

import threading

import pytest

import peers
import python_code
import states

OTHERS = '''
import os, time
from snakepit_bridge import current

def double(x: int):
    return 2 * x

def raise_key_error(key: str):
    raise KeyError(key)

def numbers(to: int):
    for i in range(to):
        yield {"i": i}

def call_back(ctx):
    return ctx.call_tool("plain", pool="python", code="return 1")

def pid_of_other():
    return os.getpid()
'''

SCHEMA = {
    "type": "object",
    "properties": {
        "table": {"type": "string"},
        "limit": {"type": "integer", "default": 10, "minimum": 1},
    },
    "required": ["table"],
    "additionalProperties": False,
}
PLANTS = ["fern", "moss", "oak"]


def look_up(table, limit=10):
    "Rows of a table."
    return {"table": table, "rows": PLANTS[:limit]}


def rows(table, limit=10):
    "The same, one by one."
    for row in PLANTS[:limit]:
        yield {"table": table, "row": row}


def about(**arrays):
    """What stands in the JSON for the first of its arrays."""
    tensor = arrays["grid"]["__tensor__"]
    return [sorted(arrays), [tensor["dtype"], tensor["shape"]]]


def breaks():
    raise ValueError("it is broken")


@pytest.fixture(scope="module")
def pit(tmp_path_factory):
    place = tmp_path_factory.mktemp("tools")
    (place / "tools.py").write_text(python_code.TOOLS)
    (place / "others.py").write_text(OTHERS)
    config = states.write_config(
        place,
        python=(place / "tools.py", 1),
        others=(place / "others.py", 1),
        showcase=("showcase", 1),
    )
    with states.ToolPit(config) as opened:
        opened.tool(look_up, schema=SCHEMA)
        opened.tool(rows, schema=SCHEMA, flags=states.STREAMING)
        opened.tool(about)
        opened.tool(breaks)
        yield opened


def test_a_function_of_the_host_is_called(session):
    assert session.run("""
        first = ctx.call_host_tool("look_up", table="plants", limit=2)
        second = ctx.call_elixir_tool("look_up", table="plants", limit=1)
        third = ctx.call_host_tool("look_up", {"table": "t"}, timeout=20)
        return [first, second["rows"], third["table"]]
    """) == [{"table": "plants", "rows": ["fern", "moss"]}, ["fern"], "t"]


def test_awaited_it_holds_up_nobody(session):
    assert session.run_async("""
        answers = await asyncio.gather(
            *(ctx.call_host_tool("look_up", table=str(i)) for i in range(5)))
        return [answer["table"] for answer in answers]
    """) == ["0", "1", "2", "3", "4"]


def test_many_calls_at_once_in_their_order(session):
    assert session.run("""
        read = []
        def items():
            for i in range(40):
                read.append(i)
                yield {"table": str(i), "limit": 1}
        answers = ctx.map_tool("look_up", items(), in_flight=4)
        first = next(answers)["table"]
        ahead = len(read)
        rest = [answer["table"] for answer in answers]
        assert [first] + rest == [str(i) for i in range(40)], rest
        listed = ctx.call_many("look_up", [{"table": "t", "limit": 1}] * 3)
        return [ahead, len(listed), ctx.call_many("look_up", [])]
    """) == [5, 3, []]


def test_a_failure_among_many_ends_them(session):
    assert session.run("""
        from snakepit_bridge import errors
        answers = ctx.map_tool("look_up", [{"table": "a"}, {}, {"table": "c"}])
        first = next(answers)["table"]
        try:
            next(answers)
        except errors.ToolArgumentsError as failure:
            told = failure.code
        try:
            ctx.map_tool("look_up", [], in_flight=0)
        except ValueError as failure:
            refused = "1 to 256" in str(failure)
        return [first, told, list(answers), refused]
    """) == ["a", "SP-BAD-ARGS", [], True]


def test_they_look_like_functions(session):
    assert session.run("""
        import inspect
        tools = ctx.host_tools
        assert {"look_up", "rows", "breaks"} <= set(tools), list(tools)
        tool = tools.look_up
        assert tool is ctx.elixir_tools["look_up"] and tool.__name__ == "look_up"
        return [tool("plants", limit=1)["rows"], tool.__doc__,
                str(inspect.signature(tool)), tools.rows.streaming]
    """) == [["fern"], "Rows of a table.", "(table: str, limit: int = 10)", True]


@pytest.mark.parametrize("code, kind", [
    ('ctx.call_host_tool("none")', "ToolNotFound"),
    ('ctx.call_elixir_tool("none", x=1)', "ToolNotFound"),
    ('ctx.call_host_tool("look_up")', "ToolArgumentsError"),
    ('ctx.call_host_tool("look_up", table="t", limit=0)', "ToolArgumentsError"),
    ('ctx.call_host_tool("look_up", table="t", more=1)', "ToolArgumentsError"),
    ('ctx.call_host_tool("breaks")', "ToolError"),
    ('list(ctx.stream_host_tool("none"))', "ToolNotFound"),
    ('ctx.call_tool("none", pool="others")', "ToolNotFound"),
    ('ctx.call_tool("double", pool="others")', "ToolArgumentsError"),
])  # fmt: skip
def test_what_goes_wrong_is_told(session, code, kind):
    found = session.run(f"""
        try:
            {code}
        except HostError as failure:
            return [type(failure).__name__, str(failure)]
    """)
    assert found is not None and found[0] == kind, found
    if kind == "ToolError":
        assert "it is broken" in found[1]


def test_a_stream_of_the_host(session):
    assert session.run("""
        plain = [chunk["row"] for chunk in ctx.stream_host_tool("rows", table="t")]
        proxy = [chunk["row"] for chunk in ctx.host_tools.rows("t", limit=1)]
        with ctx.stream_host_tool("rows", table="t") as stream:
            first = stream.next(20)["row"]
        assert stream.ended and stream.next() is None
        return [plain, proxy, first]
    """) == [PLANTS, ["fern"], "fern"]


def test_a_stream_of_the_host_in_a_coroutine(session):
    assert session.run_async("""
        async def follow(limit):
            return [c["row"] async for c in ctx.stream_host_tool("rows", table="t",
                                                                 limit=limit)]
        return await asyncio.gather(follow(1), follow(3))
    """) == [["fern"], PLANTS]


def test_a_tool_of_another_worker(session):
    assert session.run("""
        import os
        assert ctx.call_tool("pid_of_other", pool="others") != os.getpid()
        try:
            ctx.call_tool("raise_key_error", pool="others", key="k")
        except ToolError as failure:
            remote = [failure.remote_type, str(failure), failure.code]
        numbers = [c["i"] for c in ctx.stream_tool("numbers", pool="others", to=3)]
        return [ctx.call_tool("double", pool="others", x=4),
                ctx.call_tool("double", {"x": 5}, pool="others"), remote, numbers]
    """) == [8, 10, ["KeyError", "'k'", "SP-REMOTE"], [0, 1, 2]]


def test_from_worker_to_worker_to_host_and_back(session):
    """The showcase's demo, called by another worker, calls the host."""
    assert session.run("""
        demo = dict(pool="showcase")
        done = ctx.call_tool(
            "call_elixir_demo", {"tool_name": "look_up", "table": "t", "limit": 1}, **demo)
        refused = ctx.call_tool("call_elixir_demo", {"tool_name": "none"}, **demo)
        return [done["result"]["rows"], "look_up" in refused["available_tools"]]
    """) == [["fern"], True]


def test_tools_of_a_session_are_seen_by_it_alone(session, pit):
    def secret():
        return 7

    pit.tool(secret, session=session.name)
    pit.create_session("stranger")
    stranger = python_code.Session(pit, "stranger")
    assert session.run('return [ctx.host_tools.secret(), "secret" in ctx.host_tools]') == [
        7, True,
    ]  # fmt: skip
    assert stranger.run("""
        try:
            ctx.call_host_tool("secret")
        except ToolNotFound:
            return "secret" in ctx.host_tools
    """) is False
    pit.end_session("stranger")


def test_what_a_tool_changed_is_not_served_from_the_cache(session, pit):
    def bump():
        pit.set(session.name, "x", 2)

    pit.register(session.name, "x", "integer", 1)
    pit.tool(bump, session=session.name)
    assert session.run("""
        assert ctx["x"] == 1
        ctx.call_host_tool("bump")
        return ctx["x"]
    """) == 2


def test_arrays_travel_as_bytes(session):
    """Far over what goes as JSON; another worker gets an array and gives one."""
    assert session.run("""
        import numpy
        grid = numpy.arange(40_000, dtype="f4").reshape(200, 200)
        answer = ctx.call_host_tool("about", grid=grid, other=numpy.ones(5000))
        return answer
    """) == [["grid", "other"], ["<f4", [200, 200]]]


# ---- the end of a call that asks ----


class Held:
    """A function of the host that answers when the test says so."""

    def __init__(self, pit, session):
        self._entered, self._go = threading.Event(), threading.Event()

        def held():
            self._entered.set()
            assert self._go.wait(peers.DEADLINE_S)
            return "late"

        pit.tool(held, session=session.name, flags=states.ANY_THREAD)

    def await_question(self):
        assert self._entered.wait(peers.DEADLINE_S)

    def answer(self):
        self._go.set()


@pytest.fixture
def held(pit, session):
    made = Held(pit, session)
    yield made
    made.answer()


@pytest.mark.parametrize("tool, word", [("plain", ""), ("coroutine", "await ")])
def test_a_cancelled_call_leaves_its_question(session, pit, held, tmp_path, tool, word):
    with peers.Notes(tmp_path / "notes") as notes:
        call = pit.begin(tool, {"code": f"""
            try:
                {word}ctx.call_host_tool("held")
            except (Cancelled, asyncio.CancelledError) as failure:
                with open({str(notes.path)!r}, "w") as file:
                    print("cancelled", file=file)
                raise
        """}, session.name)  # fmt: skip
        held.await_question()
        pit.cancel(call)
        notes.wait_for("cancelled")
        with pytest.raises(states.Refused, match="SP-CANCELLED"):
            pit.result(call)
    held.answer()
    assert session.run("return 1") == 1


def test_a_question_has_a_time_limit_of_its_own(session, pit, held):
    call = pit.begin("plain", {"code": """
        try:
            ctx.call_host_tool("held", timeout=0.2)
        except HostTimeout as failure:
            return [failure.code, isinstance(failure, TimeoutError)]
    """}, session.name)  # fmt: skip
    held.await_question()  # on a thread of the library, not on this one
    assert pit.result(call) == {"value": ["SP-TIMEOUT", True]}


def test_the_deadline_of_the_call_is_that_of_its_questions(session, pit, held):
    call = pit.begin(
        "plain", {"code": 'return ctx.call_host_tool("held")'}, session.name, 300
    )
    held.await_question()
    with pytest.raises(states.Refused, match="SP-TIMEOUT"):
        pit.result(call)
    held.answer()
    assert session.run("return 1") == 1


def test_a_call_waits_for_what_its_threads_ask(session, pit, held):
    call = pit.begin("plain", {"code": """
        import builtins, threading
        def follow():
            builtins.test_answers = [ctx.call_host_tool("held")]
            try:
                while True:
                    ctx["x"] = 1
            except HostError as failure:
                builtins.test_answers.append(failure.code)
        builtins.test_thread = threading.Thread(target=follow)
        builtins.test_thread.start()
        return "end"
    """}, session.name)  # fmt: skip
    held.await_question()
    held.answer()
    assert pit.result(call) == {"value": "end"}
    assert session.run("""
        import builtins
        builtins.test_thread.join(20)
        return builtins.test_answers
    """) == ["late", "SP-CLOSED"]


def test_many_threads_of_a_call_ask_at_once(session):
    assert session.run("""
        from concurrent.futures import ThreadPoolExecutor
        def work(i):
            for j in range(100):
                ctx[f"v{i}"] = j
                assert ctx.call_host_tool("look_up", table=str(j))["table"] == str(j)
            return ctx.get_variable(f"v{i}", bypass_cache=True)
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(work, range(8)))
    """) == [99] * 8


# ---- tools that call each other ----


def test_a_tool_that_calls_itself_is_told(session):
    """One worker: it would wait for itself for ever."""
    assert session.run("""
        try:
            ctx.call_tool("plain", pool="python", code="return 1")
        except ToolRecursion as failure:
            return [failure.code, isinstance(failure, RecursionError)]
    """) == ["SP-DEADLOCK", True]


def test_a_tool_that_is_not_in_the_first_pool_is_found(session):
    assert session.run('return ctx.call_tool("double", x=5)') == 10


def test_a_ring_of_tools_is_told(session):
    """From the only worker to another one and back: nobody waits for ever."""
    assert session.run("""
        try:
            ctx.call_tool("call_back", pool="others")
        except ToolError as failure:
            return [failure.remote_type, "python" in str(failure)]
    """) == ["snakepit_bridge.errors.ToolRecursion", True]
    assert session.run("return 1") == 1
