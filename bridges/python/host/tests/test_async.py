# SPDX-License-Identifier: MIT
"""A pit in event loops."""

import asyncio
import itertools
import threading

import pytest
from conftest import PATIENCE, opened, wait_for

import snakepit


def run(coroutine):
    async def bounded():
        return await asyncio.wait_for(coroutine, PATIENCE)

    return asyncio.run(bounded())


def test_calls_end_on_the_loop_without_a_thread(pit):
    async def main():
        assert await pit.acall("add", 1, 2) == 3
        results = await asyncio.gather(*[pit.acall("add", i) for i in range(300)])
        assert results == list(range(1, 301))
        with pytest.raises(snakepit.RemoteError, match="it failed"):
            await pit.acall("fail")

    before = threading.active_count()
    run(main())
    assert threading.active_count() == before
    run(main())  # another loop


def test_cancelling_the_task_cancels_the_call(pit, gate):
    async def main():
        task = asyncio.ensure_future(pit.acall("hold", gate.path))
        await asyncio.get_running_loop().run_in_executor(None, gate.await_held)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await pit.acall("add", 1) == 2

    run(main())
    wait_for(lambda: pit.stats()["cancelled"] == 1, "the call's end")


def test_a_loop_and_threads_at_once(pit):
    """Once somebody submits, a thread takes the endings, the loop's too."""

    async def main():
        assert await pit.acall("add", 1) == 2
        call = pit.submit("add", 2)
        assert await asyncio.wrap_future(call) == 3
        assert pit.submit("add", 3).result(PATIENCE) == 4  # blocks the loop; it ends
        results = await asyncio.gather(*[pit.acall("add", i) for i in range(100)])
        assert results == list(range(1, 101))

    run(main())


def test_two_loops_at_once(pit):
    results = []

    async def main():
        results.extend([await pit.acall("add", i) for i in range(50)])

    def both():
        threads = [threading.Thread(target=run, args=(main(),)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(results)

    assert both() == 100
    assert sorted(results) == sorted(list(range(1, 51)) * 2)


def test_loops_and_threads_come_and_go():
    """Whoever takes the endings hands over to the next while calls are under way."""
    for _ in range(5):
        with opened(size=1) as pit:
            results = []

            async def main():
                for i in range(20):
                    results.append(await pit.acall("add", i))

            loops = [threading.Thread(target=run, args=(main(),)) for _ in range(3)]
            for loop in loops:
                loop.start()
            while len(results) < 5:
                assert pit.call("add", 1) == 2
            assert pit.submit("add", 1).result(PATIENCE) == 2
            for loop in loops:
                loop.join()
            assert len(results) == 60


def test_a_map_in_a_loop(pit):
    async def items():
        for i in range(100):
            yield i

    async def main():
        assert [v async for v in pit.amap("square", items())] == [
            i * i for i in range(100)
        ]
        seen = [v async for v in pit.amap("square", range(100), ordered=False)]
        assert sorted(seen) == [i * i for i in range(100)]
        assert [v async for v in pit.amap("square", [])] == []
        both = [
            v async for v in pit.amap("fail_if_odd", range(2), return_exceptions=True)
        ]
        assert both[0] == 0 and isinstance(both[1], snakepit.RemoteError)
        with pytest.raises(snakepit.RemoteError):
            async for _ in pit.amap("fail_if_odd", [1, 2]):
                pass

    run(main())


def test_an_endless_map_is_left_early(pit):
    read = []

    def endless():
        for i in itertools.count():
            read.append(i)
            yield i

    async def main():
        results = pit.amap("square", endless(), in_flight=4)
        assert [await results.__anext__() for _ in range(5)] == [0, 1, 4, 9, 16]
        await results.aclose()

    run(main())
    assert len(read) <= 5 + 4
    wait_for(lambda: pit.stats()["busy"] == 0, "idle workers")


@pytest.mark.parametrize("ordered", [True, False])
def test_a_full_queue_is_waited_for(ordered):
    async def main(pit):
        results = pit.amap("square", range(60), in_flight=30, ordered=ordered)
        seen = [value async for value in results]
        assert (seen if ordered else sorted(seen)) == [i * i for i in range(60)]

    with opened(size=1, queue={"max": 2}, pipeline=1) as pit:
        run(main(pit))


def test_a_stream_in_a_loop(pit, tmp_path):
    path = tmp_path / "closed"

    async def main():
        assert [c async for c in pit.astream("numbers", 1000)] == list(range(1000))
        chunks = pit.astream("watched", str(path))
        assert [await chunks.__anext__() for _ in range(3)] == [0, 1, 2]
        await chunks.aclose()
        with pytest.raises(snakepit.RemoteError):
            async for _ in pit.astream("fail"):
                pass

    run(main())
    wait_for(path.exists, "the generator's finally")


def test_a_pit_as_an_asynchronous_context():
    async def main():
        async with opened(size=1, wait=False) as pit:
            session = pit.session("mine")
            assert await session.acall("add", 1) == 2
            assert [v async for v in session.amap("square", [3])] == [9]
            assert [c async for c in session.astream("numbers", 2)] == [0, 1]
        assert pit.closed

    run(main())


def test_tools_of_the_program_run_on_the_loop(pit):
    @pit.tool
    def where():
        return threading.get_ident()

    async def main():
        assert await pit.acall("ask", "where") == threading.get_ident()

    run(main())
