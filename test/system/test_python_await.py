# SPDX-License-Identifier: MIT
"""A session's state from a plain tool and from a coroutine, with and without await."""

import pytest

import states


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
