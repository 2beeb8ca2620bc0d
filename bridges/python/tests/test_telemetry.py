# SPDX-License-Identifier: MIT
"""What tools report: over a worker's telemetry stream to a stock gRPC client, and to
backends of the program's own."""

import asyncio
import json
import queue
import time

import pytest

from snakepit_bridge import _worker, telemetry
from snakepit_bridge.telemetry import samplers
from snakepit_bridge.telemetry.backends import GrpcBackend, StderrBackend
from snakepit_bridge.telemetry.stream import TelemetryStream

from conftest import DEADLINE

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SPAN_ID = "b7ad6b7169203331"
TOOLS = '''
import asyncio
import threading

from snakepit_bridge import telemetry


def report(name, measurements=None, metadata=None, correlation_id=None):
    telemetry.emit(name, measurements, metadata, correlation_id)
    return telemetry.is_enabled()


def odd():
    telemetry.emit("odd", {"f": 0.5, "t": True, "s": "x", "o": object, "n": None},
                   {"set": {1}, "deep": {"a": [1]}, 5: 6})


def nested():
    with telemetry.span("outer", {"k": "v"}) as outer:
        telemetry.emit("inside", {"x": 1})
        with telemetry.span("inner"):
            pass
    return [outer.trace_id, outer.span_id, outer.correlation_id]


@telemetry.span("work")
def decorated(fail=False):
    if fail:
        raise KeyError("lost")
    return 1


@telemetry.span("later")
async def later():
    await asyncio.sleep(0)
    telemetry.emit("while.later")
    return 2


@telemetry.span("stream")
def stream():
    yield 1
    telemetry.emit("while.streaming")
    yield 2


def from_a_thread():
    thread = threading.Thread(target=telemetry.emit, args=("from.thread",))
    thread.start()
    thread.join()


def shapes():
    import numpy

    return numpy.ones(3) + numpy.ones(4)


def own():
    class Own(Exception):
        pass

    raise Own("mine")


def sample():
    telemetry.start_samplers(interval_s=0.1)


def collect():
    import gc

    gc.collect()
    telemetry.stop_samplers()


def dropped(many):
    for i in range(many):
        telemetry.emit("flood", {"i": i}, {"pad": "x" * 1000})
    return telemetry.dropped_count()
'''


class Listener:
    """A client of StreamTelemetry: wishes out, events in."""

    def __init__(self, client, **filters):
        self.pb2 = client.pb2
        self.client = client
        self.wishes = queue.Queue()
        self.events = client.stub.StreamTelemetry(
            iter(self.wishes.get, None), timeout=DEADLINE
        )
        self.events.initial_metadata()
        self.wish(filter=self.pb2.TelemetryEventFilter(**filters))

    def wish(self, **fields):
        """The worker obeys it when it has come: calls go by another stream."""
        self.wishes.put(self.pb2.TelemetryControl(**fields))

    def next(self):
        event = next(self.events)
        return ".".join(event.event_parts), event

    def until(self, name):
        while True:
            found, event = self.next()
            if found == name:
                return event

    def end(self):
        self.wishes.put(None)
        self.events.cancel()


@pytest.fixture
def client(start):
    return start("tools.py", {"tools.py": TOOLS}).client


@pytest.fixture
def listen(client):
    opened = []

    def open_one(**filters):
        """A listener whose filter the worker obeys: what it denies comes no more."""
        filters.setdefault("deny", []).extend(
            ["tool.*", "python.call.*", "python.error.*", "sync.deny"]
        )
        one = Listener(client, **filters)
        opened.append(one)
        settle(client, one)
        return one

    yield open_one
    for one in opened:
        one.end()


def settle(client, listener):
    """Report until only the second of two events comes, as it must once the filter has
    arrived."""
    for i in range(1000):
        client.call("report", name="sync.deny")
        client.call("report", name="sync.seen", metadata={"i": str(i)})
        denied = False
        while True:
            name, event = listener.next()
            denied = denied or name == "sync.deny"
            if name == "sync.seen" and event.metadata["i"] == str(i):
                break
        if not denied:
            return
    raise AssertionError("the filter is not obeyed")


def measurements(event):
    return {
        key: getattr(value, value.WhichOneof("value"))
        for key, value in event.measurements.items()
    }


def test_an_event_arrives_with_its_call(client, listen):
    listener = listen()
    response = client.execute(
        "report",
        {"name": "model.loaded", "measurements": {"bytes": 4096}, "metadata": {"m": "s"}},
        session="s-1",
        metadata={
            "traceparent": f"00-{TRACE_ID}-{SPAN_ID}-01",
            "x-snakepit-correlation-id": "c-7",
        },
    )
    assert json.loads(response.result.value) is True
    name, event = listener.next()
    assert name == "model.loaded"
    assert measurements(event) == {"bytes": 4096}
    assert dict(event.metadata) == {
        "m": "s",
        "tool": "report",
        "session_id": "s-1",
        "trace_id": TRACE_ID,
        "span_id": SPAN_ID,
    }
    assert event.correlation_id == "c-7"
    assert abs(event.timestamp_ns - time.time_ns()) < DEADLINE * 10**9


def test_nobody_listens_and_nothing_happens(client):
    assert client.call("report", name="x") is False
    assert client.call("nested") == ["", "", None]
    assert client.call("decorated") == 1
    assert client.call("dropped", many=100) == 0


def test_values_of_any_kind(client, listen):
    listener = listen()
    client.call("odd")
    _, event = listener.next()
    assert measurements(event) == {"f": 0.5, "t": 1, "s": "x", "o": "<class 'object'>"}
    assert json.loads(event.metadata["deep"]) == {"a": [1]}
    assert event.metadata["set"] == "{1}" and event.metadata["5"] == "6"


def test_spans_nest_below_the_trace_of_the_caller(client, listen):
    listener = listen()
    response = client.execute(
        "nested", {}, metadata={"traceparent": f"00-{TRACE_ID}-{SPAN_ID}-01"}
    )
    trace_id, outer_id, correlation_id = json.loads(response.result.value)
    found = [listener.next() for _ in range(5)]
    assert [name for name, _ in found] == [
        "outer.start",
        "inside",
        "inner.start",
        "inner.stop",
        "outer.stop",
    ]
    outer, inside, inner = found[0][1], found[1][1], found[2][1]
    assert trace_id == TRACE_ID
    assert outer.metadata["span_id"] == outer_id
    assert outer.metadata["parent_id"] == SPAN_ID and outer.metadata["k"] == "v"
    assert inside.metadata["span_id"] == outer_id
    assert inner.metadata["parent_id"] == outer_id
    assert inner.metadata["span_id"] not in (outer_id, SPAN_ID)
    assert {event.metadata["trace_id"] for _, event in found} == {TRACE_ID}
    assert {event.correlation_id for _, event in found} == {correlation_id}
    assert 0 < measurements(found[3][1])["duration"]
    assert measurements(found[3][1])["duration"] <= measurements(found[4][1])["duration"]
    assert measurements(outer)["system_time"] > 1_600_000_000 * 10**9


def test_spans_as_decorators(client, listen):
    listener = listen(allow=["work.*", "later.*", "stream.*", "while.*", "sync.*"])
    client.call("decorated")
    assert [listener.next()[0] for _ in range(2)] == ["work.start", "work.stop"]
    with pytest.raises(Exception, match="lost"):
        client.call("decorated", fail=True)
    name, _ = listener.next()
    name, event = listener.next()
    assert name == "work.exception"
    assert event.metadata["error_type"] == "KeyError"
    assert event.metadata["error_message"] == "'lost'"
    assert client.call("later") == 2
    assert [listener.next()[0] for _ in range(3)] == [
        "later.start",
        "while.later",
        "later.stop",
    ]
    assert client.stream("stream") == [1, 2]
    assert [listener.next()[0] for _ in range(3)] == [
        "stream.start",
        "while.streaming",
        "stream.stop",
    ]


def test_a_rate_thins_what_it_names(client, listen):
    listener = listen()
    none = client.pb2.TelemetrySamplingUpdate(
        sampling_rate=0.0, event_patterns=["x", "outer.*", "in*"]
    )
    listener.wish(sampling=none)
    while True:  # until what is not wanted comes no more before what is
        client.call("report", name="x")
        client.call("decorated")
        if listener.next()[0] == "work.start":
            break
        listener.until("work.stop")
    listener.until("work.stop")
    client.call("nested")
    client.call("decorated")
    assert [listener.next()[0] for _ in range(2)] == ["work.start", "work.stop"]


def test_calls_are_told(client):
    listener = Listener(
        client, allow=["python.call.*", "tool.result_size", "python.error.*"]
    )
    while True:
        client.call("report", name="x")
        if listener.next()[0] == "python.call.start":
            break
    listener.until("tool.result_size")
    client.call("later")
    assert measurements(listener.until("python.call.stop"))["duration"] > 0
    assert measurements(listener.until("tool.result_size"))["message_size"] > 0
    with pytest.raises(Exception, match="mine"):
        client.call("own")
    assert listener.until("python.call.exception").metadata["tool"] == "own"
    assert listener.next()[0] == "python.error.occurred"
    listener.end()


def test_a_thread_reports(client, listen):
    listener = listen()
    client.call("from_a_thread")
    name, event = listener.next()
    assert (name, event.metadata["tool"]) == ("from.thread", "from_a_thread")


def test_exceptions_are_reported_by_what_they_are_about(client, listen):
    pytest.importorskip("numpy", reason="needs python3-numpy")
    listener = listen()
    with pytest.raises(Exception, match="broadcast"):
        client.call("shapes")
    name, event = listener.next()
    assert name == "python.exception.mapped"
    assert event.metadata["python_type"] == "ValueError"
    assert event.metadata["function"] == "shapes"
    name, event = listener.next()
    assert name == "error.shape_mismatch"
    assert event.metadata["expected"] == "[3]" and event.metadata["got"] == "[4]"
    assert event.metadata["operation"] == "broadcast"
    with pytest.raises(Exception, match="mine"):
        client.call("own")
    name, event = listener.next()
    assert name == "python.exception.unmapped"
    assert event.metadata["python_type"].endswith("Own")


def test_the_interpreter_is_sampled(client, listen):
    listener = listen()
    client.call("sample")
    found = measurements(listener.until("python.memory.sampled"))
    assert 0 < found["rss_bytes"] < found["vms_bytes"]
    assert measurements(listener.until("python.cpu.sampled"))["cpu_percent"] >= 0
    client.call("collect")
    found = measurements(listener.until("python.gc.completed"))
    assert found["duration"] > 0 and found["count"] >= 0 and 0 <= found["generation"] <= 2


def test_samples_may_begin_with_the_worker(start):
    worker = start("tools.py", {"tools.py": TOOLS}, SNAKEPIT_WORKER_SAMPLE_S="0.1")
    listener = Listener(worker.client)
    assert listener.until("python.memory.sampled").metadata.get("tool") is None
    listener.end()


def test_what_nobody_reads_is_dropped_and_counted(client, listen):
    listen()
    assert client.call("dropped", many=50_000) > 0


# ---- without a worker ----


class Kept(telemetry.TelemetryBackend):
    def __init__(self):
        self.events = []

    def emit(self, event_name, measurements, metadata=None, correlation_id=None):
        self.events.append((event_name, measurements, metadata, correlation_id))


@pytest.fixture
def kept():
    backend = Kept()
    telemetry.set_backend(backend)
    yield backend
    telemetry.set_backend(None)


def test_outside_of_a_worker_nobody_listens():
    assert not telemetry.is_enabled()
    assert _worker.emit("x", {}, {}) == 0
    assert telemetry.dropped_count() == 0
    telemetry.emit("x", {"a": 1})


def test_a_backend_of_ones_own(kept):
    telemetry.emit("a.b", {"x": 1}, {"y": 2}, "c")
    assert kept.events == [("a.b", {"x": 1}, {"y": 2}, "c")]
    assert telemetry.get_backend() is kept
    with pytest.raises(ValueError):
        with telemetry.span("s", correlation_id="c2"):
            assert telemetry.get_correlation_id() == "c2"
            raise ValueError("v")
    assert telemetry.get_correlation_id() is None
    assert [event[0] for event in kept.events[1:]] == ["s.start", "s.exception"]
    assert kept.events[2][3] == "c2"


def test_a_backend_that_fails_harms_nobody():
    class Broken(telemetry.TelemetryBackend):
        def emit(self, *event, **named):
            raise OSError

    telemetry.set_backend(Broken())
    try:
        telemetry.emit("x")
        with telemetry.span("y"):
            pass
    finally:
        telemetry.set_backend(None)


def test_the_backend_of_standard_error(capsys):
    StderrBackend().emit("a", {"x": 1}, None, "c")
    line = capsys.readouterr().err
    assert line.startswith("TELEMETRY:")
    event = json.loads(line.removeprefix("TELEMETRY:"))
    assert (event["event"], event["measurements"]) == ("a", {"x": 1})


def test_correlation_ids():
    assert len(telemetry.new_correlation_id()) == 32
    token = telemetry.set_correlation_id("c")
    assert telemetry.outgoing_metadata({"a": "b"}) == [
        ("a", "b"),
        (telemetry.CORRELATION_HEADER, "c"),
    ]
    telemetry.reset_correlation_id(token)
    assert telemetry.get_correlation_id("none") == "none"
    assert telemetry.outgoing_metadata() == []
    record = type("Record", (), {})()
    assert telemetry.correlation_filter().filter(record)
    assert record.correlation_id == "-"
    assert telemetry.setup_tracing() in (True, False)
    assert telemetry.otel_span is telemetry.span


def test_a_stream_of_ones_own_is_bounded_and_filtered():
    stream = TelemetryStream(max_buffer=3)
    backend = GrpcBackend(stream)
    for i in range(5):
        backend.emit("a.b", {"i": i, "ok": True}, {"n": 1}, "c")
    assert stream.dropped_count == 2
    stream.close()
    stream.emit("late", {})

    async def read():
        return [event async for event in stream.stream()]

    events = asyncio.run(read())
    assert [event.measurements["i"] for event in events] == [0, 1, 2]
    assert events[0].event_parts == ["a", "b"] and events[0].metadata == {"n": "1"}
    assert events[0].measurements["ok"] == 1 and events[0].correlation_id == "c"


def test_a_stream_of_ones_own_obeys(stubs):
    pb2, _ = stubs
    stream = TelemetryStream()

    async def wishes():
        yield pb2.TelemetryControl(
            filter=pb2.TelemetryEventFilter(allow=["a.*"], deny=["*.secret"])
        )
        for name in ("a.x", "b.x", "a.secret"):
            stream.emit(name, {})
        yield pb2.TelemetryControl(
            sampling=pb2.TelemetrySamplingUpdate(sampling_rate=0.5)
        )
        for _ in range(4):
            stream.emit("a.half", {})
        yield pb2.TelemetryControl(toggle=pb2.TelemetryToggle(enabled=False))
        stream.emit("a.off", {})
        stream.close()

    async def read():
        return [event.event_parts async for event in stream.stream(wishes())]

    assert asyncio.run(read()) == [["a", "x"], ["a", "half"], ["a", "half"]]


def test_samplers_stop(kept):
    telemetry.start_samplers(interval_s=3600)
    telemetry.start_samplers(interval_s=3600)
    assert samplers._running.thread.is_alive()
    telemetry.stop_samplers()
    telemetry.stop_samplers()
    assert samplers._running is None
