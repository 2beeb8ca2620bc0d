# SPDX-License-Identifier: MIT
"""Programs and the session itself from Python, and what a call leaves behind."""

import pytest

import python_code
import states


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
    fresh = python_code.Session(pit, "not begun by anybody")
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
