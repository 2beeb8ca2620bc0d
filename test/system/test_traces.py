# SPDX-License-Identifier: MIT
"""Spans of calls, and metrics, as a collector gets them."""

import json
import re
import socket
import threading
import time
import uuid

import collector
import daemons
import peers
import pytest

import cli_tool

grpc = pytest.importorskip("grpc", reason="needs python3-grpcio")

ADAPTER = f"{peers.HERE / 'conformance' / 'worker.py'}:Conformance"
PARENT = "00f067aa0ba902b7"
NESTS = cli_tool.BUILD / "test/system/nests"
UNARY = "snakepit.bridge.BridgeService/ExecuteTool"
STREAM = "snakepit.bridge.BridgeService/ExecuteStreamingTool"


@pytest.fixture(scope="module")
def messages(tmp_path_factory):
    return collector.make_messages(tmp_path_factory.mktemp("otlp"))


@pytest.fixture(scope="module")
def spans(messages):
    with collector.running(messages) as found:
        yield found


@pytest.fixture(scope="module")
def daemon(tmp_path_factory, spans):
    place = tmp_path_factory.mktemp("traces") / "d"
    more = [{"name": "other", "adapter": ADAPTER, "size": 1, "python": peers.PYTHON}]
    top = ["telemetry:", f"  otlp: {spans.address}", "  sample: 0"]
    with daemons.running(place, adapter=ADAPTER, python=peers.PYTHON, more=more, top=top) as found:
        yield found


@pytest.fixture
def trace():
    return uuid.uuid4().hex


def headers(trace, flags="01"):
    return [("traceparent", f"00-{trace}-{PARENT}-{flags}")]


def chain_from(root, spans):
    """The root and those inside it, along the only or the longest way."""
    chain = [root]
    while inside := [span for span in spans if span.parent == chain[-1].id]:
        chain.append(max(inside, key=lambda span: sum(s.parent == span.id for s in spans)))
    return chain


def check_tree(spans, parent):
    """One root; every other span lies in its parent, in time too."""
    by_id = {span.id: span for span in spans}
    assert len(by_id) == len(spans)
    roots = [span for span in spans if span.parent == parent]
    assert len(roots) == 1, spans
    for span in spans:
        assert span.begin <= span.end
        if span is not roots[0]:
            around = by_id[span.parent]
            assert around.begin <= span.begin <= span.end <= around.end, (span, around)
    return roots[0]


def test_a_call_of_a_client_is_a_tree_of_spans(client, spans, trace):
    assert client.execute("add", {"a": 1, "b": 2}, headers=headers(trace), session_id="s") == 3
    found = spans.of_trace(trace, 6)
    root = check_tree(found, PARENT)
    names = [(span.name, span.kind) for span in chain_from(root, found)]
    assert names == [
        (UNARY, "SERVER"), ("snakepit.dispatch", "INTERNAL"), (UNARY, "CLIENT"),
        (UNARY, "SERVER"), ("snakepit.tool add", "INTERNAL"),
    ]  # fmt: skip
    queue = [span for span in found if span.name == "snakepit.queue"]
    assert len(queue) == 1 and queue[0].parent == root.id
    assert root.attributes["rpc.system.name"] == "grpc"
    assert root.attributes["rpc.status_code"] == "OK"
    assert root.attributes["session.id"] == "s"
    assert root.attributes["snakepit.pool"] == "default"
    assert root.attributes["snakepit.session.affinity"] == "miss"
    tool = chain_from(root, found)[-1]
    assert tool.attributes["snakepit.worker.slot"] == 0
    assert tool.attributes["process.pid"] > 0
    assert not any(span.failed for span in found)


def test_the_worker_knows_its_own_span(client, spans, trace):
    told = client.execute("metadata", headers=headers(trace))["traceparent"].split("-")
    found = spans.of_trace(trace, 6)
    assert [span.name for span in found if span.id == told[2]] == ["snakepit.tool metadata"]


def test_a_nested_call_is_inside_the_tool_that_makes_it(client, spans, trace):
    args = {"pool": "other", "name": "add", "args": {"a": 2, "b": 3}}
    assert client.execute("call_worker", args, headers=headers(trace)) == 5
    found = spans.of_trace(trace, 12)
    root = check_tree(found, PARENT)
    assert [span.name for span in chain_from(root, found)] == [
        UNARY, "snakepit.dispatch", UNARY, UNARY, "snakepit.tool call_worker",
        "snakepit.callback add", "snakepit.dispatch", UNARY, UNARY, "snakepit.tool add",
    ]  # fmt: skip
    pools = [span.attributes.get("snakepit.pool") for span in chain_from(root, found)]
    assert pools[0] == pools[4] == "default" and pools[5] == pools[9] == "other"


def test_a_stream_is_recorded_with_its_chunks(client, spans, trace):
    stream = client.bridge.ExecuteStreamingTool(
        client.request("count", {"n": 3}, stream=True), timeout=peers.DEADLINE_S,
        metadata=headers(trace),
    )  # fmt: skip
    assert len([chunk for chunk in stream if not chunk.is_final]) == 3
    root = check_tree(spans.of_trace(trace, 6), PARENT)
    assert (root.name, root.attributes["snakepit.chunks"]) == (STREAM, 3)


def test_a_failure_is_told_by_all_it_went_through(client, spans, trace):
    with pytest.raises(grpc.RpcError):
        client.execute("fail", {"message": "no"}, headers=headers(trace))
    found = spans.of_trace(trace, 6)
    root = check_tree(found, PARENT)
    chain = chain_from(root, found)
    assert [span.failed for span in chain] == [True, True, True, False, True]
    assert {span.attributes["error.type"] for span in chain if span.failed} == {"SP-REMOTE"}
    assert root.attributes["rpc.status_code"] == "UNKNOWN"


def test_a_worker_that_dies_leaves_the_spans_outside_it(client, spans, trace):
    with pytest.raises(grpc.RpcError):
        client.execute("crash", headers=headers(trace))
    found = spans.of_trace(trace, 4)
    root = check_tree(found, PARENT)
    chain = chain_from(root, found)
    assert [span.kind for span in chain] == ["SERVER", "INTERNAL", "CLIENT"]
    assert root.attributes["error.type"] == "SP-WORKER-DIED"
    assert client.execute("add", {"a": 1, "b": 1}) == 2  # another one is there


def test_who_began_the_trace_decides(client, spans, trace):
    last = uuid.uuid4().hex
    client.execute("add", {"a": 1, "b": 2}, headers=headers(trace, "00"))
    client.execute("add", {"a": 1, "b": 2})
    client.execute("add", {"a": 1, "b": 2}, headers=headers(last))
    spans.of_trace(last, 6)
    assert not [span for span in spans.spans if span.trace == trace]
    assert not [span for span in spans.spans if span.parent == ""]


def test_the_resource_says_who_it_is(client, spans, daemon, trace):
    client.execute("add", {"a": 1, "b": 2}, headers=headers(trace))
    resource = spans.of_trace(trace, 6)[0].resource
    assert resource["service.name"] == "snakepit"
    assert resource["process.pid"] == daemon.process.pid
    assert resource["service.instance.id"].startswith("test-")
    assert resource["telemetry.sdk.language"] == "c"
    path, header = spans.requests[0]
    assert path == "/v1/traces"
    assert header["Content-Type"] == "application/x-protobuf"


# ---- the command line: a pit of its own ----


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "snakepit.yaml"
    path.write_text(
        f"pools:\n  - name: nests\n    runtime: exec\n    command: [{NESTS}]\n    size: 2\n"
    )
    return path


def call(config, arguments, *options, **environment):
    return cli_tool.snakepit("--config", config, "call", *options, "pass", arguments,
                             env={"SNAKEPIT_TELEMETRY_SAMPLE": "1", **environment})


ASKING = '{"tool":"host","pool":"host","args":{"x":1}}'


def test_a_command_that_ends_at_once_has_sent_its_spans(config, messages):
    with collector.running(messages) as found:
        done = call(
            config, ASKING, "--tool", "host=cat",
            OTEL_EXPORTER_OTLP_ENDPOINT=found.address + "/",
            OTEL_EXPORTER_OTLP_HEADERS="x-key=a%20b, x-other = c",
            OTEL_SERVICE_NAME="mine",
            OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test,service.name=no",
        )  # fmt: skip
        assert done.code == 0, done.err
        assert len(found.spans) == 7
        root = check_tree(found.spans, "")
        assert root.name == "snakepit.call pass"
        names = [span.name for span in chain_from(root, found.spans)]
        assert names[-2:] == ["snakepit.tool pass", "snakepit.callback host"]
        assert root.resource["service.name"] == "mine"
        assert root.resource["deployment.environment.name"] == "test"
        path, header = found.requests[0]
        assert (path, header["x-key"], header["x-other"]) == ("/v1/traces", "a b", "c")


def points(metric):
    data = getattr(metric, metric.WhichOneof("data"))
    return [(collector.plain(point.attributes), point) for point in data.data_points]


def test_the_last_metrics_are_sent_too(config, messages):
    with collector.running(messages) as found:
        done = call(config, ASKING, "--tool", "host=cat",
                    OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=found.address + "/v1/metrics")
        assert done.code == 0, done.err
        assert [path for path, _ in found.requests] == ["/v1/metrics"]
        metrics = {metric.name: metric for metric in found.metrics}
        assert len(metrics) == len(found.metrics) > 20
        calls = metrics["snakepit_calls"]
        assert (calls.sum.is_monotonic, calls.sum.aggregation_temporality) == (True, 2)
        labels, point = next((labels, p) for labels, p in points(calls) if labels["tool"] == "pass")
        assert (labels, point.as_double) == (
            {"pool": "nests", "tool": "pass", "code": "SP-OK"}, 1)
        assert 0 < point.start_time_unix_nano < point.time_unix_nano
        duration = metrics["snakepit_call_duration_seconds"]
        assert (duration.unit, duration.histogram.aggregation_temporality) == ("s", 2)
        _, point = next((labels, p) for labels, p in points(duration) if labels["tool"] == "pass")
        assert point.count == sum(point.bucket_counts) == 1
        assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
        assert point.sum > 0 and list(point.explicit_bounds) == sorted(point.explicit_bounds)
        workers = metrics["snakepit_pool_workers"]
        assert workers.WhichOneof("data") == "gauge"


def test_no_more_traces_begin_than_may(config, messages):
    with collector.running(messages) as found:
        began = time.monotonic()
        done = cli_tool.snakepit("--config", config, "map", "--tool", "host=cat", "pass",
                                 stdin=f"{ASKING}\n" * 100, env={
            "SNAKEPIT_TELEMETRY_SAMPLE": "1", "SNAKEPIT_TELEMETRY_TRACE_RATE": "1",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": found.address + "/v1/traces",
        })  # fmt: skip
        assert (done.code, len(done.out.splitlines())) == (0, 100), done.err
        assert 1 <= len({span.trace for span in found.spans}) <= time.monotonic() - began + 2


def test_metrics_come_again_and_again(messages, tmp_path):
    with collector.running(messages) as found:
        top = ["telemetry:", f"  otlp: {found.address}"]
        environment = {"OTEL_METRIC_EXPORT_INTERVAL": "10"}
        with daemons.running(tmp_path / "d", top=top, environment=environment):
            def rounds():
                return [p for p, _ in found.requests].count("/v1/metrics") >= 3

            found.wait(rounds, "the third round of metrics")
        assert [m.name for m in found.metrics].count("snakepit_build") >= 3


def test_the_span_of_the_shell_is_the_parent(config, messages, trace):
    with collector.running(messages) as found:
        done = call(config, ASKING, "--tool", "host=cat", TRACEPARENT=f"00-{trace}-{PARENT}-01",
                    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=found.address + "/as/it/is")
        assert done.code == 0, done.err
        assert check_tree(found.spans, PARENT).trace == trace
        assert {path for path, _ in found.requests} == {"/as/it/is"}


@pytest.mark.parametrize("environment", [
    {"OTEL_SDK_DISABLED": "true"}, {"SNAKEPIT_TELEMETRY_OTLP": ""}, {"SNAKEPIT_TELEMETRY_SAMPLE": "0"},
])  # fmt: skip
def test_nothing_goes_out_where_that_is_not_wanted(config, messages, environment):
    with collector.running(messages) as found:
        if environment == {"SNAKEPIT_TELEMETRY_OTLP": ""}:
            environment = {}
            config.write_text(config.read_text() + 'telemetry:\n  otlp: ""\n')
        done = call(config, ASKING, "--tool", "host=cat",
                    OTEL_EXPORTER_OTLP_ENDPOINT=found.address, **environment)
        assert done.code == 0, done.err
        assert [path for path, _ in found.requests if path.endswith("traces")] == []
        if environment != {"SNAKEPIT_TELEMETRY_SAMPLE": "0"}:
            assert found.requests == []


@pytest.mark.parametrize("address", ["127.0.0.1:4318", "ftp://127.0.0.1/", "file:///etc/passwd"])
def test_an_address_that_is_none_is_told(config, address):
    config.write_text(config.read_text() + f"telemetry:\n  otlp: {json.dumps(address)}\n")
    done = call(config, ASKING, "--tool", "host=cat")
    assert done.code == 2, done.err
    assert "OTLP goes to an http:// or https:// address" in done.err and address in done.err


# ---- collectors that are not well ----


@pytest.fixture
def troubled(messages, tmp_path):
    """A collector and a daemon that sends it everything."""
    with collector.running(messages) as found:
        top = ["telemetry:", f"  otlp: {found.address}"]
        with daemons.running(tmp_path / "d", adapter=ADAPTER, python=peers.PYTHON, top=top) as daemon:
            found.daemon = daemon
            yield found


def lost(daemon, reason):
    """What the daemon counts of traces that nobody took."""
    done = cli_tool.snakepit("metrics", "--connect", daemon.address)
    found = re.search(rf'^snakepit_export_dropped_total{{signal="traces",reason="{reason}"}} (\d+)$',
                      done.out, re.M)
    return int(found[1])


def execute(daemon, stubs, trace):
    with peers.connected(daemon.address) as client:
        assert client.execute("add", {"a": 1, "b": 1}, headers=headers(trace)) == 2


@pytest.mark.parametrize("answers", [
    [(503, {})], [(429, {"Retry-After": "1"}), (502, {}), (504, {})],
])  # fmt: skip
def test_what_may_be_sent_again_is(troubled, stubs, trace, answers):
    troubled.answers = list(answers)
    execute(troubled.daemon, stubs, trace)
    assert len(troubled.of_trace(trace, 6)) == 6  # once
    assert len(troubled.requests) == len(answers) + 1  # metrics come once a minute
    assert troubled.daemon.log().count("telemetry does not reach") == 1


def test_what_is_refused_is_dropped_and_told(troubled, stubs, trace):
    troubled.answers = [(400, {})]
    execute(troubled.daemon, stubs, trace)
    troubled.wait(lambda: troubled.requests, "the first batch")
    other = uuid.uuid4().hex
    execute(troubled.daemon, stubs, other)
    troubled.of_trace(other, 6)
    assert not [span for span in troubled.spans if span.trace == trace]
    assert "HTTP status 400" in troubled.daemon.log()
    assert lost(troubled.daemon, "unreached") >= 1  # the call, and starts with it
    assert lost(troubled.daemon, "refused") == lost(troubled.daemon, "overwritten") == 0


def test_what_is_refused_of_each_batch_is_told_once(troubled, stubs, trace):
    troubled.refusal = b"\x0a\x07\x08\x02\x12\x03odd"  # partial_success: 2, "odd"
    execute(troubled.daemon, stubs, trace)
    troubled.of_trace(trace, 6)
    troubled.daemon.await_event("warning")
    other = uuid.uuid4().hex
    execute(troubled.daemon, stubs, other)
    troubled.of_trace(other, 6)
    end = time.monotonic() + peers.DEADLINE_S
    while lost(troubled.daemon, "refused") < 4:  # its answer is on its way
        assert time.monotonic() < end
    assert lost(troubled.daemon, "unreached") == 0
    troubled.daemon.terminate()
    assert troubled.daemon.wait() == 0
    assert troubled.daemon.log().count("2 records were refused: odd") == 1


def test_a_collector_that_does_not_answer_holds_nobody_up(troubled, stubs, trace):
    troubled.gate = threading.Event()
    execute(troubled.daemon, stubs, trace)
    troubled.wait(lambda: troubled.requests, "the first batch")
    for _ in range(20):
        execute(troubled.daemon, stubs, uuid.uuid4().hex)
    troubled.daemon.terminate()
    assert troubled.daemon.wait() == 0


def test_a_collector_that_is_not_there_is_told_once(tmp_path, stubs, trace):
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        top = ["telemetry:", f"  otlp: http://127.0.0.1:{taken.getsockname()[1]}"]
        with daemons.running(tmp_path / "d", adapter=ADAPTER, python=peers.PYTHON, top=top) as daemon:
            execute(daemon, stubs, trace)
            daemon.await_event("warning")
            execute(daemon, stubs, trace)
            daemon.terminate()
            assert daemon.wait() == 0
            assert daemon.log().count("telemetry does not reach") == 1
