# SPDX-License-Identifier: MIT
"""What a call has read is cached for a while: how old it may be."""

import time

import pytest


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
