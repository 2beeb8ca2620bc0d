# SPDX-License-Identifier: MIT
"""Arrays and bytes both ways, sessions with their variables, tools of the program."""

import threading

import pytest
from conftest import PATIENCE, opened, wait_for

import snakepit

numpy = pytest.importorskip("numpy")


def test_bytes_travel(pit):
    data = bytes(range(256)) * 100
    assert pit.call("echo", data) == data
    assert pit.call("echo", value={"a": [data, b""]}) == {"a": [data, b""]}
    assert pit.call("raw", 10) == b"x" * 10


@pytest.mark.parametrize("dtype", ["<f8", "<i2", "|u1", "<c16", "|b1"])
def test_arrays_travel_as_arrays(pit, dtype):
    array = numpy.arange(24000).astype(dtype).reshape(20, 30, 40)
    back = pit.call("echo", array)
    assert isinstance(back, numpy.ndarray)
    assert back.dtype == array.dtype and back.shape == array.shape
    assert (back == array).all()
    assert pit.call("echo", numpy.arange(3)) == [0, 1, 2]


def test_several_arrays_and_a_result_that_outlives_the_pit():
    with opened(size=1) as pit:
        arrays = [numpy.full(5000, i, dtype="f8") for i in range(4)]
        back = pit.call("echo", value={"arrays": arrays, "bytes": b"abc"})
        zeros = pit.call("zeros", 100_000)["array"]
    assert [float(array[0]) for array in back["arrays"]] == [0, 1, 2, 3]
    assert back["bytes"] == b"abc"
    assert zeros.nbytes == 800_000 and not zeros.flags.writeable and not zeros.any()


def test_arrays_in_maps_and_submitted_calls(pit):
    def arrays():
        for i in range(50):
            yield numpy.full(3000, i, dtype="<i4")

    for i, array in enumerate(pit.map("echo", arrays(), in_flight=8)):
        assert array.shape == (3000,) and (array == i).all()
    back = pit.submit("echo", numpy.ones(3000)).result(PATIENCE)
    assert back.sum() == 3000
    total = pit.call_many("total", [numpy.ones(20000, dtype="u1")] * 3)
    assert total == [["ndarray", 20000.0]] * 3


# ---- sessions ----


def test_a_session_keeps_variables_that_workers_see(pit):
    session = pit.session("mine")
    session["rate"] = 0.5
    assert session["rate"] == 0.5
    assert session.call("read", "rate") == 0.5
    session["rate"] = 2
    assert session["rate"] == 2.0  # a float stays one
    session["names"] = ["a", "b"]
    session.register("count", 3, "integer")
    assert sorted(session) == ["count", "names", "rate"] and len(session) == 3
    assert "rate" in session and "speed" not in session
    assert session.get("speed", 7) == 7
    with pytest.raises(LookupError):
        session["speed"]
    with pytest.raises(snakepit.StateError) as caught:
        session["count"] = "three"
    assert caught.value.code == "SP-BAD-VALUE"
    with pytest.raises(TypeError, match="tolist"):
        session["data"] = b"abc"
    del session["count"]
    assert "count" not in session
    assert session.info()["variables"] == 2
    assert pit.sessions() == ["mine"]
    session.delete()
    assert pit.sessions() == []


def test_a_session_ends_with_its_block(pit):
    with pit.session(metadata={"who": "test"}, ttl=60) as session:
        assert session.info()["metadata"] == {"who": "test"}
        assert session.info()["ttl"] == 60.0
        first = session.call("pid")
        assert [session.call("pid") for _ in range(5)] == [first] * 5  # affinity
        assert list(session.map("square", [2])) == [4]
        assert session.submit("add", 1).result(PATIENCE) == 2
        assert list(session.stream("numbers", 2)) == [0, 1]
        assert session.call_many("square", [3]) == [9]
        assert session.function("add")(1) == 2
    assert pit.sessions() == []


# ---- tools of the program ----


def test_workers_call_functions_of_the_program(pit):
    seen = []

    @pit.tool
    def double(value: int, times: int = 2):
        """Twice as much."""
        seen.append(threading.get_ident())
        return value * times

    assert pit.call("ask", "double", {"value": 4}) == 8
    assert seen == [threading.get_ident()]  # this thread waited and was woken for it
    assert pit.submit("ask", "double", {"value": 5, "times": 3}).result(PATIENCE) == 15
    with pytest.raises(snakepit.SnakepitError):
        pit.call("ask", "double", {"value": "x"})
    with pytest.raises(snakepit.SnakepitError):
        pit.call("ask", "double", {})
    pit.remove_tool("double")
    with pytest.raises(snakepit.SnakepitError):
        pit.call("ask", "double", {"value": 4})


def test_a_tool_of_the_program_hears_who_asks(pit):
    told = []

    @pit.tool(name="who", session=pit.session("mine").id, with_call=True)
    def who_asks(call, value):
        told.append((call, call.session, call.tool, call.worker, call.is_over))
        assert call.remaining > 0
        return {"array": numpy.full(5000, value), "bytes": b"abc"}

    answer = pit.call("ask", "who", {"value": 2.0}, session="mine")
    assert answer["bytes"] == b"abc" and answer["array"].sum() == 10000
    call, session, tool, worker, is_over = told[0]
    assert (session, tool, is_over) == ("mine", "who", False) and worker != 0
    assert call.is_over and call.session is None  # it has been answered
    with pytest.raises(snakepit.SnakepitError):
        pit.call("ask", "who", {"value": 1})  # not of this session


def test_a_failure_of_the_program_reaches_the_worker(pit):
    @pit.tool
    def broken():
        raise KeyError("mine")

    with pytest.raises(snakepit.RemoteError) as caught:
        pit.call("ask", "broken")
    assert "mine" in str(caught.value)


def test_a_tool_of_the_program_may_call_tools(pit):
    @pit.tool
    def nested(value: int):
        return pit.call("add", value, 1)

    assert pit.call("ask", "nested", {"value": 4}) == 5
    pit.remove_tool("nested")


def test_what_is_no_tool(pit):
    async def later():
        pass

    with pytest.raises(TypeError, match="coroutine"):
        pit.tool(later)
    with pytest.raises(TypeError, match="ToolCall"):
        pit.tool(lambda: None, name="none", with_call=True)
    with pytest.raises(snakepit.UsageError):
        pit.tool(lambda: None, name="no name!")
    pit.tool(lambda value: value, name="twice")
    with pytest.raises(snakepit.StateError):
        pit.tool(lambda value: value, name="twice")


def test_functions_are_let_go_of(pit):
    import weakref

    class Function:
        __name__ = "held"

        def __call__(self):
            return 1

    function = Function()
    gone = weakref.ref(function)
    pit.tool(function, name="held")
    assert pit.call("ask", "held") == 1
    del function
    assert gone() is not None
    pit.remove_tool("held")
    # Whoever waits for something is given this, too.
    wait_for(lambda: pit.call("add", 1) == 2 and gone() is None, "the function's end")


@pytest.mark.parametrize("name", ["Map", "Memory", "Stream", "ToolCall"])
def test_what_the_pit_makes_is_not_made_by_hand(name):
    kind = getattr(snakepit._snakepit, name)
    with pytest.raises(TypeError):
        kind()
    with pytest.raises(TypeError):
        object.__new__(kind)
