# SPDX-License-Identifier: MIT
"""Changes of a session's variables as they come to Python, and streams that ask."""

import cli_tool
import python_code
import states


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
    gone = python_code.Session(pit, "ending")
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
