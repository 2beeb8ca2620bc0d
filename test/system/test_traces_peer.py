# SPDX-License-Identifier: MIT
"""Spans and metrics through collectors that are not ours, and in the published messages."""

import concurrent.futures
import importlib
import uuid

import collector
import daemons
import foreign_collectors
import peers
import pytest
from test_metrics import Metrics
from test_traces import ADAPTER, PARENT, check_tree, headers

grpc = pytest.importorskip("grpc", reason="needs python3-grpcio")

CALLS = 200
OF_A_CALL = 6
OF_A_NEST = 12
ALL_SPANS = (CALLS + 2) * OF_A_CALL + OF_A_NEST


@pytest.fixture(scope="module")
def messages(tmp_path_factory):
    return collector.make_messages(tmp_path_factory.mktemp("otlp"))


# ---- collectors ----


@pytest.fixture(scope="module", params=["rotel", "otelcol"])
def relay(request, tmp_path_factory, messages):
    """The collector behind a foreign one, whose address is in `.front`."""
    place = tmp_path_factory.mktemp(request.param)
    command_of = getattr(foreign_collectors, request.param)
    with collector.running(messages) as sink:
        try:
            with foreign_collectors.running(command_of, place, sink.address) as sink.front:
                yield sink
        except foreign_collectors.Missing as reason:
            pytest.skip(str(reason))


def lost(shown):
    """The figures of what did not arrive, above none."""
    return {key: sample.value for key, sample in shown.samples.items()
            if key[0] == "snakepit_export_dropped_total" and sample.value > 0}


@pytest.fixture(scope="module")
def done(relay, tmp_path_factory, stubs):
    """What a daemon sends of many calls and then of its end: traces by what they are of,
    its metrics as it shows them, and its log."""
    place = tmp_path_factory.mktemp("daemon") / "d"
    more = [{"name": "other", "adapter": ADAPTER, "size": 1, "python": peers.PYTHON}]
    top = ["telemetry:", f"  otlp: {relay.front}", "  sample: 0"]
    settings = {"adapter": ADAPTER, "python": peers.PYTHON, "size": 2, "more": more, "top": top}
    with daemons.running(place, **settings) as daemon:
        found = {"calls": [uuid.uuid4().hex for _ in range(CALLS)]}
        with peers.connected(daemon.address) as client:
            def add(trace):
                return client.execute("add", {"a": 1, "b": 2}, headers=headers(trace))

            with concurrent.futures.ThreadPoolExecutor(8) as threads:
                assert list(threads.map(add, found["calls"])) == [3] * CALLS
            found["nest"], found["failure"], found["stream"] = (
                uuid.uuid4().hex for _ in range(3)
            )
            nest = {"pool": "other", "name": "add", "args": {"a": 2, "b": 3}}
            assert client.execute("call_worker", nest, headers=headers(found["nest"])) == 5
            with pytest.raises(grpc.RpcError):
                client.execute("fail", {"message": "no"}, headers=headers(found["failure"]))
            stream = client.bridge.ExecuteStreamingTool(
                client.request("count", {"n": 3}, stream=True), timeout=peers.DEADLINE_S,
                metadata=headers(found["stream"]),
            )  # fmt: skip
            assert len(list(stream)) >= 3
        # What is refused after the pit has gone, nobody is told: so not before this came,
        # or something was lost.
        relay.wait(lambda: len(relay.spans) >= ALL_SPANS or lost(Metrics(daemon)), "the spans")
        found["shown"] = Metrics(daemon)
        daemon.terminate()  # the last metrics are sent
        assert daemon.wait() == 0
        found["log"] = daemon.log()
    return found


def test_every_span_of_every_call_comes_out(relay, done):
    for trace in done["calls"]:
        found = relay.of_trace(trace, OF_A_CALL)
        assert len(found) == OF_A_CALL
        assert check_tree(found, PARENT).attributes["rpc.status_code"] == "OK"
    nest = relay.of_trace(done["nest"], OF_A_NEST)
    check_tree(nest, PARENT)
    stream = check_tree(relay.of_trace(done["stream"], OF_A_CALL), PARENT)
    assert stream.attributes["snakepit.chunks"] == 3
    assert len(relay.spans) == ALL_SPANS


def test_a_failure_keeps_its_status_and_text(relay, done):
    found = relay.of_trace(done["failure"], OF_A_CALL)
    root = check_tree(found, PARENT)
    assert (root.failed, root.attributes["error.type"]) == (True, "SP-REMOTE")
    assert {span.message for span in found if span.failed} == {"the tool raised an exception"}


def test_the_resource_comes_out(relay, done):
    resource = relay.of_trace(done["nest"], OF_A_NEST)[0].resource
    assert resource["service.name"] == "snakepit"
    assert resource["process.pid"] > 0 and resource["telemetry.sdk.language"] == "c"


def shown_families(shown):
    """The metrics of an exposition, as OTLP names them."""
    kinds = [line.split()[2:4] for line in shown.text.splitlines() if line.startswith("# TYPE")]
    return {name.removesuffix("_total") if kind == "counter" else name.removesuffix("_info"): kind
            for name, kind in kinds}


def test_every_metric_comes_out(relay, done):
    def calls():
        points = [collector.plain(point.attributes) | {"count": point.as_double}
                  for metric in relay.metrics if metric.name == "snakepit_calls"
                  for point in metric.sum.data_points]
        return [point for point in points if point["tool"] == "add" and point["pool"] == "default"]

    assert relay.wait(calls, "the count of calls")[-1]["count"] == CALLS
    came = {metric.name: metric for metric in relay.metrics}
    data = {"counter": "sum", "histogram": "histogram", "gauge": "gauge"}
    wanted = shown_families(done["shown"])
    assert len(wanted) > 20
    assert set(wanted) - set(came) == set()
    for name, kind in wanted.items():
        assert came[name].WhichOneof("data") == data[kind], name
    for metric in relay.metrics:
        for point in metric.histogram.data_points:
            assert point.count == sum(point.bucket_counts)
            assert len(point.bucket_counts) == len(point.explicit_bounds) + 1


def test_nothing_is_refused(relay, done):
    assert lost(done["shown"]) == {}
    assert "event=warning" not in done["log"], done["log"]


# ---- the published messages ----


@pytest.fixture(scope="module")
def published():
    """The messages of the package opentelemetry-proto: (traces, metrics)."""
    with peers.packages():
        return [
            importlib.import_module(f"opentelemetry.proto.collector.{of}.v1.{of}_service_pb2")
            for of in ("trace", "metrics")
        ]


def differences(ours, theirs, seen):
    """Where a message of otlp.proto is not a part of the published one."""
    if ours.full_name in seen:
        return
    seen.add(ours.full_name)
    for field in ours.fields:
        other = theirs.fields_by_number.get(field.number)
        if other is None:
            yield f"{theirs.full_name} has no field {field.number} ({field.name})"
            continue
        for what in ("name", "type", "label"):
            if getattr(field, what) != getattr(other, what):
                yield f"{other.full_name}: {what} {getattr(field, what)}"
        if (field.containing_oneof is None) != (other.containing_oneof is None):
            yield f"{other.full_name}: a oneof"
        if field.enum_type is not None:
            values = {value.name: value.number for value in other.enum_type.values}
            for value in field.enum_type.values:
                if values.get(value.name) != value.number:
                    yield f"{other.full_name}: {value.name} = {value.number}"
        if field.message_type is not None:
            yield from differences(field.message_type, other.message_type, seen)


def test_what_the_tests_read_is_what_is_published(messages, published):
    traces, metrics = published
    pairs = [
        (messages.TraceRequest, traces.ExportTraceServiceRequest),
        (messages.TraceResponse, traces.ExportTraceServiceResponse),
        (messages.MetricsRequest, metrics.ExportMetricsServiceRequest),
    ]
    seen = set()
    for ours, theirs in pairs:
        assert list(differences(ours.DESCRIPTOR, theirs.DESCRIPTOR, seen)) == []
    assert seen == {f"otlp.{name}" for name in messages.DESCRIPTOR.message_types_by_name}


def test_the_published_messages_know_every_field(messages, published, tmp_path, stubs):
    traces, metrics = published
    trace = uuid.uuid4().hex
    with collector.running(messages) as found:
        top = ["telemetry:", f"  otlp: {found.address}"]
        with daemons.running(tmp_path / "d", adapter=ADAPTER, python=peers.PYTHON, top=top) as daemon:
            with peers.connected(daemon.address) as client:
                client.execute("add", {"a": 1, "b": 2}, headers=headers(trace))
                with pytest.raises(grpc.RpcError):
                    client.execute("fail", {"message": "no"}, headers=headers(trace))
            daemon.terminate()
            assert daemon.wait() == 0
        kinds = {"/v1/traces": traces.ExportTraceServiceRequest,
                 "/v1/metrics": metrics.ExportMetricsServiceRequest}
        assert {path for path, _ in found.bodies} == set(kinds)
        spans = []
        for path, body in found.bodies:
            request = kinds[path].FromString(body)
            size = request.ByteSize()
            request.DiscardUnknownFields()
            assert request.ByteSize() == size, path
            if path == "/v1/traces":
                spans += [span for part in request.resource_spans
                          for scope in part.scope_spans for span in scope.spans]
        assert len(spans) == 2 * OF_A_CALL
        assert all((len(s.trace_id), len(s.span_id)) == (16, 8) for s in spans)
        assert all(s.start_time_unix_nano <= s.end_time_unix_nano for s in spans)
