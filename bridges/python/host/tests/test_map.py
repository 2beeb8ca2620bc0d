# SPDX-License-Identifier: MIT
"""Maps and streams: order, laziness, failures, early ends."""

import itertools
import threading

import pytest
from conftest import PATIENCE, opened, wait_for

import snakepit


def test_results_come_in_the_order_of_items(pit):
    assert list(pit.map("square", range(1000))) == [i * i for i in range(1000)]
    assert list(pit.map("square", [])) == []


def test_an_item_is_named_arguments_or_a_place_or_the_only_one(pit):
    assert list(pit.map("add", [{"a": 1, "b": 2}, (3, 4), 5])) == [3, 7, 6]
    assert list(pit.map("echo", [[1, 2], "x", None])) == [[1, 2], "x", None]
    assert list(pit.map("echo", [({"a": 1},)])) == [{"a": 1}]


def test_without_order_a_held_call_delays_no_other(pit, gate):
    items = [{"path": gate.path}, *({"path": None, "value": i} for i in range(1, 9))]
    results = pit.map("hold_or_echo", items, ordered=False, timeout=PATIENCE)
    seen = {}
    for value in results:
        seen[results.index] = value
        if len(seen) == 4:
            assert 0 not in seen
            gate.release()
    assert seen == {0: "released", **{i: i for i in range(1, 9)}}


def test_an_endless_iterable_is_read_as_far_as_needed(pit):
    read = []

    def endless():
        for i in itertools.count():
            read.append(i)
            yield i

    with pit.map("square", endless(), in_flight=4) as results:
        first = list(itertools.islice(results, 10))
    assert first == [i * i for i in range(10)]
    assert len(read) <= 10 + 4 + 1
    assert pit.call("add", 1) == 2


def test_a_slow_iterable_does_not_hold_back_what_is_ready(pit):
    """The second item comes only once the result of the first was seen."""
    seen = threading.Event()

    def slow():
        yield 2
        wait_for(lambda: pit.stats()["succeeded"] >= 1, "the first call")
        yield 3
        assert seen.is_set()
        yield 4

    results = pit.map("square", slow())
    assert next(results) == 4
    seen.set()
    assert list(results) == [9, 16]


def test_a_failure_is_raised_in_its_place_and_the_map_goes_on(pit):
    results = pit.map("fail_if_odd", range(4))
    assert next(results) == 0
    with pytest.raises(snakepit.RemoteError, match="1 is odd"):
        next(results)
    assert results.index == 1
    assert next(results) == 2
    with pytest.raises(snakepit.RemoteError):
        next(results)
    with pytest.raises(StopIteration):
        next(results)
    both = list(pit.map("fail_if_odd", range(4), return_exceptions=True))
    assert [type(value) for value in both] == [int, snakepit.RemoteError] * 2


def test_what_the_iterable_raises_ends_the_map(pit):
    def broken():
        yield 1
        raise KeyError("mine")

    results = pit.map("square", broken())
    with pytest.raises(KeyError, match="mine"):
        list(results)
    with pytest.raises(StopIteration):
        next(results)
    with pytest.raises(TypeError, match="cannot be sent"):
        list(pit.map("echo", [object()]))
    with pytest.raises(TypeError):
        pit.map("square", 3)
    with pytest.raises(TypeError, match="no option"):
        pit.map("square", [1], colour="red")
    with pytest.raises(snakepit.UsageError):
        pit.map("square", [1], in_flight=100_000)


def test_an_early_end_cancels_what_is_under_way(pit, gate):
    def items():
        yield gate.path
        gate.await_held()
        raise KeyError("enough")

    with pytest.raises(KeyError):
        list(pit.map("hold", items()))
    assert pit.stats()["cancelled"] == 1
    numbers = pit.map("square", itertools.count())
    assert next(numbers) == 0
    numbers.close()
    assert list(numbers) == []
    wait_for(lambda: pit.stats()["busy"] == 0, "idle workers")


def test_one_thread_at_a_time_iterates(pit, gate):
    results = pit.map("hold", [gate.path])
    taken = []
    other = threading.Thread(target=lambda: taken.extend(results))
    other.start()
    gate.await_held()
    with pytest.raises(ValueError, match="already being iterated"):
        next(results)
    with pytest.raises(ValueError, match="by another thread"):
        results.close()
    gate.release()
    other.join()
    assert taken == ["released"]


def test_a_pit_is_not_closed_by_what_its_map_reads(pit):
    def closing():
        yield 1
        pit.close()

    with pytest.raises(RuntimeError, match="from inside"):
        list(pit.map("square", closing()))
    assert pit.call("add", 1) == 2


def test_many_at_once(pit):
    assert pit.call_many("square", range(500)) == [i * i for i in range(500)]
    assert pit.call_many("square", []) == []
    with pytest.raises(snakepit.RemoteError, match="1 is odd"):
        pit.call_many("fail_if_odd", range(100))
    both = pit.call_many("fail_if_odd", [1, 2], return_exceptions=True)
    assert isinstance(both[0], snakepit.RemoteError) and both[1] == 2


def test_a_full_queue_is_waited_for():
    with opened(size=1, queue={"max": 2}) as pit:
        results = pit.call_many("square", range(100), in_flight=50)
        assert results == [i * i for i in range(100)]


# ---- streams ----


def test_chunks_come_in_order(pit):
    assert list(pit.stream("numbers", 1000)) == list(range(1000))
    assert list(pit.stream("numbers", count=0)) == []


def test_leaving_a_stream_closes_the_generator(pit, tmp_path):
    path = tmp_path / "closed"
    with pit.stream("watched", str(path)) as chunks:
        assert next(chunks) == 0
    wait_for(path.exists, "the generator's finally")
    path.unlink()
    for chunk in pit.stream("watched", str(path)):
        if chunk == 3:
            break
    wait_for(path.exists, "the generator's finally")


def test_a_stream_can_be_cancelled_from_elsewhere(pit, tmp_path):
    chunks = pit.stream("watched", str(tmp_path / "closed"))
    next(chunks)
    chunks.cancel()
    with pytest.raises(snakepit.CancelledError):
        for _ in chunks:
            pass
    assert list(chunks) == []


def test_a_stream_fails_with_the_tools_error(pit):
    with pytest.raises(snakepit.RemoteError):
        list(pit.stream("fail"))
