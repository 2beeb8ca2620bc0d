# SPDX-License-Identifier: MIT
"""Answers that work with and without await: real threads, a real event loop."""

import asyncio
import json
import pickle
import threading

import pytest
from conftest import DEADLINE, Failed

from snakepit_bridge import _async, _reply, _worker
from snakepit_bridge._values import substitute


def raising(failure):
    raise failure


def run(coroutine):
    """As the worker runs a tool's coroutine."""
    return _async.run(coroutine)


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    assert _reply.unseen() == []
    _async.close()


def test_without_a_loop_it_is_the_plain_value():
    assert type(_reply.ask(int, "7")) is int
    assert _reply.ask(lambda: None) is None
    with pytest.raises(KeyError):
        _reply.ask(raising, KeyError("x"))


def test_awaited_it_is_the_plain_value():
    async def tool():
        number = await _reply.ask(int, "7")
        nothing = await _reply.ask(lambda: None)
        truth = await _reply.ask(lambda: True)
        with pytest.raises(KeyError):
            await _reply.ask(raising, KeyError("x"))
        return type(number) is int and number == 7 and nothing is None and truth is True

    assert run(tool())


def test_unawaited_it_is_used_like_the_value():
    async def tool():
        seven, text = _reply.ask(int, "7"), _reply.ask(str, "abc")
        items, table = _reply.ask(lambda: [3, 1, 2]), _reply.ask(lambda: {"a": 1})
        assert seven + 1 == 8 and 1 + seven == 8 and seven / 2 == 3.5 and -seven == -7
        assert seven == 7 and seven != 8 and seven < 8 and divmod(seven, 2) == (3, 1)
        assert int(seven) == 7 and float(seven) == 7.0 and round(seven) == 7
        assert [0] * 8 == [0] * (seven + 1) and "x" * seven == "xxxxxxx"
        assert range(10)[seven] == 7 and hash(seven) == hash(7)
        assert seven + _reply.ask(int, "1") == 8
        assert text.upper() == "ABC" and f"{text:>5}" == "  abc" and str(text) == "abc"
        assert text + "d" == "abcd" and "b" in text and text[1:] == "bc"
        assert "".join(reversed(text)) == "cba" and repr(text) == "'abc'"
        assert sorted(items) == [1, 2, 3] and len(items) == 3 and items[0] == 3
        items[0] = 9
        del items[1]
        assert list(items) == [9, 2]
        assert table["a"] == 1 and dict(table.items()) == {"a": 1}
        assert not _reply.ask(lambda: None) and not _reply.ask(int, "0")
        with pytest.raises(TypeError):
            seven + "text"
        with pytest.raises(KeyError):
            table["b"]
        assert pickle.loads(pickle.dumps(seven)) == 7
        return True

    assert run(tool())


def test_a_failure_is_raised_where_the_reply_is_used():
    async def tool():
        reply = _reply.ask(raising, KeyError("x"))
        with pytest.raises(KeyError):
            reply + 1

    run(tool())


def test_what_nobody_waits_for_is_finished_before_the_call_ends():
    go, done = threading.Event(), []

    def slow():
        go.wait(DEADLINE)
        done.append(True)

    async def tool():
        _reply.ask(slow)
        go.set()
        return "end"

    assert run(tool()) == "end"
    assert done == [True]


def test_a_failure_that_nobody_saw_fails_the_call():
    async def tool():
        _reply.ask(raising, KeyError("first"))
        _reply.ask(raising, ValueError("second"))
        return "end"

    with pytest.raises(KeyError, match="first"):
        run(tool())


def test_the_tools_own_failure_comes_first():
    async def tool():
        _reply.ask(raising, KeyError("unseen"))
        raise RuntimeError("own")

    with pytest.raises(RuntimeError, match="own"):
        run(tool())


def test_quick_questions_go_out_in_order():
    order = []

    async def tool():
        for i in range(100):
            _reply.ask(order.append, i)
        return _reply.ask_now(list, order)

    assert run(tool()) == list(range(100))


def test_many_unseen_replies_are_bounded():
    async def tool():
        for i in range(3 * _reply._UNSEEN_MAX):
            _reply.ask(int, i)
            assert len(_reply.unseen()) <= _reply._UNSEEN_MAX

    run(tool())


def test_awaiting_does_not_hold_up_other_coroutines():
    entered, go = threading.Event(), threading.Event()

    def slow():
        entered.set()
        assert go.wait(DEADLINE)
        return "slow"

    async def other():
        await asyncio.get_running_loop().run_in_executor(None, entered.wait)
        go.set()  # can only happen while slow() is waited for
        return "other"

    async def tool():
        return await asyncio.gather(_reply.ask(slow), other())

    assert run(tool()) == ["slow", "other"]


def test_long_questions_do_not_hold_up_each_other_nor_quick_ones():
    meet = threading.Barrier(3)

    async def tool():
        longs = [_reply.ask_long(meet.wait, DEADLINE) for _ in range(3)]
        assert await _reply.ask(int, "7") == 7
        return sorted(await asyncio.gather(*longs))

    assert run(tool()) == [0, 1, 2]


def test_a_reply_as_the_result_or_inside_it():
    async def whole():
        return _reply.ask(int, "7")

    async def inside():
        return {"a": [_reply.ask(str, "x")]}

    assert type(run(whole())) is int
    text = _worker.encode(run(_kept(inside())), substitute)
    assert json.loads(text) == {"a": ["x"]}


async def _kept(coroutine):
    value = await coroutine
    _reply.settle()
    return value


TOOLS = """
import asyncio
from snakepit_bridge import current
from snakepit_bridge._reply import ask

def one_context():
    return current() is current() and current().session_id

kept = []

def keep():
    kept.append(current())
    return kept[0].session_id

def kept_one():
    return [kept[0].session_id, current() is not kept[0], kept[0].time_left()]

def fail():
    raise KeyError("unseen")

def plain_tool_with_its_own_loop():
    async def inner():
        ask(fail)
    current()
    asyncio.run(inner())
    return "end"

async def coroutine():
    ask(fail)
    return "end"
"""


@pytest.fixture
def worker(start):
    return start("tools.py", {"tools.py": TOOLS}).client


def session_of(worker, tool, session):
    response = worker.execute(tool, {}, session=session)
    assert response.success, response.error_message
    return json.loads(response.result.value)


def test_a_call_has_one_context(worker):
    assert session_of(worker, "one_context", "s1") == "s1"
    assert session_of(worker, "one_context", "s2") == "s2"


def test_a_context_kept_beyond_its_call_is_over(worker):
    assert session_of(worker, "keep", "s1") == "s1"
    assert session_of(worker, "kept_one", "s2") == ["s1", True, 0.0]


def test_unseen_failures_fail_a_real_call(worker):
    for tool in ("coroutine", "plain_tool_with_its_own_loop"):
        with pytest.raises(Failed) as info:
            worker.call(tool)
        assert info.value.story["type"] == "KeyError"
    assert session_of(worker, "one_context", "s") == "s"
