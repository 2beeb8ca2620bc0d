# SPDX-License-Identifier: MIT
"""Calls, their options and their ends."""

import concurrent.futures
import gc
import math
import os
import pickle
import signal
import subprocess
import sys
import threading

import pytest
from conftest import ADAPTER, PATIENCE, WORKER_PYTHON, opened, wait_for

import snakepit


def test_a_call_gives_its_result(pit):
    assert pit.call("add", 1, 2) == 3
    assert pit.call("add", a=1, b=2) == 3
    assert pit.call("add", 1) == 2
    value = {"a": [1, 2.5, None, True, "é\u0000", {"b": []}], "big": 10**30}
    assert pit.call("echo", value=value) == value
    assert math.isnan(pit.call("echo", float("nan")))


def test_arguments_go_one_way(pit):
    with pytest.raises(TypeError, match="by place or by name"):
        pit.call("add", 1, b=2)
    with pytest.raises(TypeError, match="by place or by name"):
        pit.submit("add", 1, b=2)
    with pytest.raises(TypeError):
        pit.call()
    with pytest.raises(TypeError, match="must be a str"):
        pit.call(3)


def test_what_cannot_travel_is_refused(pit):
    with pytest.raises(TypeError, match="cannot be sent"):
        pit.call("echo", object())
    with pytest.raises(ValueError, match="circular"):
        ring = []
        ring.append(ring)
        pit.call("echo", ring)
    assert pit.call("add", 1) == 2


def test_options_are_no_arguments(pit):
    assert pit.call("add", a=1, timeout=PATIENCE, pool="default", idempotent=True) == 2
    with pytest.raises(snakepit.NotFoundError, match="nowhere") as caught:
        pit.call("add", 1, pool="nowhere")
    assert caught.value.code == "SP-NO-POOL"
    assert isinstance(caught.value, LookupError)
    for option, value in (
        ("timeout", -1),
        ("timeout", "1"),
        ("affinity", "close"),
        ("session", 3),
    ):
        with pytest.raises((TypeError, ValueError)):
            pit.call("add", a=1, **{option: value})


def test_options_are_known_however_their_names_are_made(pit):
    names = {"".join(["time", "out"]): PATIENCE, "".join(["a"]): 1}
    assert pit.call("add", **names) == 2
    assert pit.submit("add", **names).result(PATIENCE) == 2


def test_a_function_has_every_keyword_for_itself(pit):
    options = pit.function("options", timeout=PATIENCE)
    assert options(timeout=1, session="x") == [1, "x"]
    assert options(3, 4) == [3, 4]
    with pytest.raises(TypeError, match="no option"):
        pit.function("options", colour="red")


def test_a_failure_in_the_worker_is_told_whole(pit):
    with pytest.raises(snakepit.RemoteError, match="it failed") as caught:
        pit.call("fail")
    error = caught.value
    assert (error.code, error.executed, error.retryable) == ("SP-REMOTE", "yes", False)
    assert error.remote_type == "ValueError"
    assert 'raise ValueError(message)' in str(error.__cause__)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is snakepit.RemoteError
    assert (again.code, again.remote_trace) == (error.code, error.remote_trace)


def test_the_causes_of_a_failure_are_told_as_data(pit):
    with pytest.raises(snakepit.RemoteError) as caught:
        pit.call("fail_because")
    (cause,) = caught.value.remote_details["causes"]
    assert (cause["link"], cause["type"]) == ("cause", "KeyError")
    assert cause["message"] == "'because'" and "fail_because" in cause["traceback"]
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.remote_details == caught.value.remote_details
    with pytest.raises(snakepit.RemoteError) as caught:
        pit.call("fail")
    assert caught.value.remote_details is None


def test_a_mismatch_of_shapes_keeps_its_structure(pit):
    with pytest.raises(snakepit.RemoteError) as caught:
        pit.call("fail_to_add", rows=2)
    assert caught.value.remote_details == {
        "kind": "shape_mismatch",
        "library": "numpy",
        "operation": "broadcast",
        "expected": [2, 3],
        "got": [2, 4],
    }


def test_kinds_of_failures(pit):
    with pytest.raises(snakepit.NotFoundError):
        pit.call("no_such_tool")
    with pytest.raises(ValueError):
        pit.call("add", a="one")
    with pytest.raises(snakepit.WorkerDiedError) as caught:
        pit.call("end")
    assert caught.value.worker_exit == 3
    assert issubclass(snakepit.DeadlineError, TimeoutError)


def test_a_deadline_ends_a_call(pit, gate):
    with pytest.raises(TimeoutError) as caught:
        pit.call("hold", gate.path, timeout=0.05)
    assert caught.value.code == "SP-TIMEOUT"


def test_every_code_has_a_class_of_its_own():
    from snakepit import _errors, _snakepit, errors

    rows = _snakepit.error_codes()
    assert len(rows) > 40
    classes = set()
    for code, number, category, retryable, grpc_status, text, hint in rows:
        error = _errors.of_facts({"code": code, "message": text})
        if code != "SP-CANCELLED":  # nothing came too late
            assert isinstance(error, _errors._BY_CATEGORY[category])
        assert (error.code, error.number, error.category) == (code, number, category)
        assert (error.grpc_status, error.hint) == (grpc_status, hint)
        assert error.retryable is bool(retryable)
        assert getattr(errors, type(error).__name__) is type(error)
        assert type(error).__name__ in errors.__all__
        assert type(pickle.loads(pickle.dumps(error))) is type(error)
        classes.add(type(error))
    assert len(classes) == len(rows)
    assert issubclass(errors.TimeoutError, (snakepit.DeadlineError, TimeoutError))
    assert issubclass(errors.NoToolError, snakepit.NotFoundError)
    assert snakepit.SnakepitError().code == "SP-UNKNOWN"


# ---- submitted calls ----


def test_a_submitted_call_is_a_future(pit, gate):
    held = pit.submit("hold", gate.path)
    quick = [pit.submit("add", i) for i in range(100)]
    done, _ = concurrent.futures.wait(quick, timeout=PATIENCE)
    assert len(done) == 100
    assert [call.result() for call in quick] == list(range(1, 101))
    with pytest.raises(concurrent.futures.TimeoutError):
        held.result(timeout=0.01)
    assert not held.done()
    told = []
    held.add_done_callback(told.append)
    gate.release()
    assert held.result(PATIENCE) == "released"
    wait_for(lambda: told == [held], "the callback")
    ready = concurrent.futures.as_completed([pit.submit("add", 1)], timeout=PATIENCE)
    assert next(ready).result() == 2


def test_a_submitted_call_fails_with_its_error(pit):
    call = pit.submit("fail", message="so it is")
    assert isinstance(call.exception(PATIENCE), snakepit.RemoteError)
    with pytest.raises(snakepit.RemoteError, match="so it is"):
        call.result()
    with pytest.raises(snakepit.NotFoundError):
        pit.submit("add", 1, pool="nowhere")


def test_a_submitted_call_can_be_cancelled(pit, gate):
    call = pit.submit("hold", gate.path)
    gate.await_held()
    assert call.cancel()
    assert call.cancelled()
    with pytest.raises(concurrent.futures.CancelledError):
        call.result()
    assert concurrent.futures.wait([call], timeout=PATIENCE).done == {call}
    wait_for(lambda: pit.stats()["cancelled"] == 1, "the worker's end of it")
    done = pit.submit("add", 1)
    assert done.result(PATIENCE) == 2
    assert not done.cancel()


# ---- many threads, signals, forks, the end ----


def test_many_threads_call_at_once(pit):
    wrong = []

    def run(number):
        for i in range(200):
            if pit.call("add", number * 1000, i) != number * 1000 + i:
                wrong.append((number, i))

    threads = [threading.Thread(target=run, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert pit.stats()["succeeded"] == 1600


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("way", ["call", "result", "map", "stream"])
def test_a_signal_is_heard_in_a_wait(pit, gate, way):
    def on_signal(number, frame):
        raise Interrupted

    def interrupt():
        gate.await_held()
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, on_signal)
    other = threading.Thread(target=interrupt)
    other.start()
    try:
        with pytest.raises(Interrupted):
            if way == "call":
                pit.call("hold", gate.path)
            elif way == "result":
                pit.submit("hold", gate.path).result(PATIENCE)
            elif way == "map":
                list(pit.map("hold", [gate.path]))
            else:
                next(pit.stream("hold", gate.path))
    finally:
        other.join()
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("way", ["call", "submit"])
def test_closing_ends_a_stream_of_the_program(gate, way):
    pit = opened(size=1)
    closed = threading.Event()

    @pit.tool
    def endless():
        try:
            while True:
                yield "x" * 65536
        finally:
            closed.set()

    def wait():
        with pytest.raises(snakepit.ClosedError):
            pit.call("hold_chunks", "endless", gate.path)

    if way == "call":  # whose thread runs the tool
        other = threading.Thread(target=wait)
        other.start()
    else:
        call = pit.submit("hold_chunks", "endless", gate.path)
    gate.await_held()
    closer = threading.Thread(target=pit.close, daemon=True)
    closer.start()
    closer.join(PATIENCE)
    assert not closer.is_alive() and closed.is_set()
    if way == "call":
        other.join()
    else:
        assert isinstance(call.exception(PATIENCE), snakepit.ClosedError)


def test_a_signal_is_heard_by_a_stream_of_the_program(pit, gate):
    def on_signal(number, frame):
        raise Interrupted

    def interrupt():
        gate.await_held()
        before = 0
        while len(sent) > before:  # until it waits for its reader
            before = len(sent)
            pause.wait(0.2)
        os.kill(os.getpid(), signal.SIGUSR1)
        wait_for(lambda: heard, "the tool ends")
        gate.release()

    heard = []
    sent = []
    pause = threading.Event()

    @pit.tool
    def endless():
        try:
            while True:
                sent.append(1)
                yield "x" * 65536
        finally:
            heard.append(1)

    before = signal.signal(signal.SIGUSR1, on_signal)
    other = threading.Thread(target=interrupt)
    other.start()
    try:
        answer = pit.call("hold_chunks", "endless", gate.path)
        assert answer == [65536, "released"]
    finally:
        other.join()
        signal.signal(signal.SIGUSR1, before)


def test_closing_ends_what_waits(gate):
    pit = opened(size=1)
    errors = []

    def wait():
        try:
            pit.call("hold", gate.path)
        except snakepit.ClosedError as error:
            errors.append(error)

    other = threading.Thread(target=wait)
    other.start()
    gate.await_held()
    queued = pit.submit("add", 1)
    numbers = pit.map("square", [1, 2, 3])
    pit.close()
    other.join()
    assert [error.code for error in errors] == ["SP-CLOSED"]
    assert isinstance(queued.exception(PATIENCE), snakepit.ClosedError)
    assert pit.closed
    pit.close()
    for use in (lambda: pit.call("add", 1), lambda: next(numbers), pit.stats):
        with pytest.raises(snakepit.ClosedError):
            use()
    assert repr(pit) == "<snakepit.Pit closed>"


def test_a_callback_may_close_the_pit():
    pit = opened(size=1)
    call = pit.submit("add", 1)
    call.add_done_callback(lambda _: pit.close())
    assert call.result(PATIENCE) == 2
    wait_for(lambda: pit.closed, "the callback")
    pit.close()


def test_a_pit_that_nobody_has_is_closed():
    opened(size=1)  # the fixture looks for what is left


def test_a_forked_process_is_refused(pit):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            pit.call("add", 1)
        except snakepit.ClosedError as error:
            status = 0 if "another process" in str(error) and pit.closed else 2
        finally:
            pit.close()
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert pit.call("add", 1) == 2


@pytest.mark.parametrize("how", ["falls off its end", "raises", "is killed"])
def test_a_program_that_ends_leaves_no_worker(how):
    program = f"""
import os, signal, sys, snakepit
pit = snakepit.open(adapter={ADAPTER!r}, size=1, python={WORKER_PYTHON!r})
call = pit.submit("pid")
print(call.result(60), flush=True)
if {how!r} == "raises":
    raise SystemExit(7)
if {how!r} == "is killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=PATIENCE,
    )
    expected = {"falls off its end": 0, "raises": 7, "is killed": -9}
    assert (done.returncode, done.stderr) == (expected[how], b"")
    worker = int(done.stdout)
    wait_for(lambda: not os.path.exists(f"/proc/{worker}"), "the worker's end")


# ---- opening ----


def test_ways_to_say_what_to_open(tmp_path):
    pool = {"name": "one", "adapter": ADAPTER, "size": 1, "python": WORKER_PYTHON}
    text = (
        "pools:\n"
        f"  - {{ name: one, adapter: {ADAPTER}, size: 1, python: {WORKER_PYTHON} }}\n"
    )
    path = tmp_path / "pit.yaml"
    path.write_text(text, encoding="utf-8")
    for config in ({"pools": [pool]}, text, path, str(path)):
        with snakepit.open(config, settings={"pools.one.threads": 2}) as pit:
            assert pit.pools() == ["one"]
            assert pit.call("add", 1) == 2
    with pytest.raises(snakepit.UsageError, match="colour"):
        snakepit.open(colour=1)
    with pytest.raises(snakepit.NotFoundError):
        snakepit.open(tmp_path / "none.yaml")
    with pytest.raises(TypeError, match="size"):
        snakepit.open(path, size=2)


def test_a_pit_that_cannot_start_says_why():
    with pytest.raises(snakepit.WorkerError, match="no_such_module"):
        opened(adapter="no_such_module:Adapter")
    with opened(wait=False) as pit:
        pit.await_ready()
        assert pit.health()["ready"]


def test_events_are_told():
    events = []
    with opened(size=1, on_event=events.append) as pit:
        pit.call("add", 1)
        with pytest.raises(snakepit.WorkerDiedError):
            pit.call("end")
        wait_for(
            lambda: "worker.died" in [event["kind"] for event in events], "the event"
        )
    died = [event for event in events if event["kind"] == "worker.died"][0]
    assert died["pool"] == "default" and died["exit_status"] == 3 and died["pid"] > 0


def test_a_pit_tells_of_itself(pit):
    pit.call("add", 1)
    stats = pit.stats()
    assert stats["requests"] == 1 and stats["workers"] == 2
    workers = pit.workers("default")
    assert [worker["state"] for worker in workers] == ["ready", "ready"]
    assert pit.call("pid") in [worker["pid"] for worker in workers]
    tools = {tool["name"]: tool for tool in pit.tools()}
    assert tools["numbers"]["streaming"] and not tools["add"]["streaming"]
    assert [p["name"] for p in tools["add"]["parameters"]] == ["a", "b"]
    with pytest.raises(snakepit.NotFoundError):
        pit.workers("nowhere")
    pids = {worker["pid"] for worker in workers}
    pit.recycle()
    wait_for(
        lambda: not pids & {worker["pid"] for worker in pit.workers()}, "fresh workers"
    )


def test_nothing_grows(pit):
    """Each object that a call makes is let go of, whatever becomes of the call."""

    def everything():
        for i in range(300):
            pit.call("echo", {"a": [i, "text", 1.5], "b": b"x" * 20})
            pit.submit("add", i).result(PATIENCE)
            with pytest.raises(snakepit.RemoteError):
                pit.call("fail")
        assert len(list(pit.map("fail_if_odd", range(300), return_exceptions=True))) == 300
        assert list(pit.stream("numbers", 300)) == list(range(300))
        assert pit.session("s").call("add", 1) == 2

    def blocks():
        gc.collect()  # exceptions and their frames are rings
        return sys.getallocatedblocks()

    everything()
    everything()
    before = blocks()
    everything()
    everything()
    assert blocks() - before < 300  # one for each would be 600 or more
