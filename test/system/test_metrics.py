# SPDX-License-Identifier: MIT
"""Metrics: what a daemon counted is what was done, in formats that others can read."""

import collections
import json
import shutil
import subprocess
import time

import daemons
import peers
import pytest
from cli_tool import snakepit

grpc = pytest.importorskip("grpc", reason="needs python3-grpcio")

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ADAPTER = """
def known(x=1):
    return x

for i in range(30):
    exec(f"def f{i}(): return {i}")
"""


def parsed(text, is_open=False):
    """{(sample's name, labels as a frozenset): value}, by Prometheus' own parser."""
    if is_open:
        parser = pytest.importorskip("prometheus_client.openmetrics.parser",
                                     reason="needs python3-prometheus-client")
    else:
        parser = pytest.importorskip("prometheus_client.parser",
                                     reason="needs python3-prometheus-client")
    found = {}
    for family in parser.text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, f"twice: {key}"
            found[key] = sample
    return found


class Metrics:
    """One look at a daemon's."""

    def __init__(self, daemon, form="prometheus"):
        done = snakepit("metrics", "-o", form, "--connect", daemon.address)
        assert (done.code, done.err) == (0, "")
        self.text = done.out
        self.samples = parsed(done.out, form == "openmetrics")

    def value(self, name, **labels):
        return self.samples[name, frozenset(labels.items())].value

    def labels(self, name, key):
        """How often each value of a label is there."""
        return collections.Counter(dict(labels)[key] for found, labels in self.samples
                                   if found == name)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    place = tmp_path_factory.mktemp("metrics")
    with daemons.running(place, size=2, more=[{"name": "other", "size": 1}],
                         top=["sample_interval: 50ms"]) as found:
        yield found


def ended(metrics, **labels):
    return metrics.samples.get(("snakepit_calls_total", frozenset(labels.items())))


def test_promtool_finds_nothing_to_say(daemon):
    if shutil.which("promtool") is None:
        pytest.skip("needs promtool (prometheus)")
    text = Metrics(daemon).text
    ran = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                         capture_output=True, timeout=peers.DEADLINE_S)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_calls_are_counted_by_tool_and_ending(daemon, client):
    before = Metrics(daemon)
    for i in range(7):
        client.execute("add", {"a": i})
    for _ in range(3):
        with pytest.raises(grpc.RpcError):
            client.execute("fail")
    after = Metrics(daemon)

    def more(name, **labels):
        key = name, frozenset(labels.items())
        old = before.samples.get(key)
        return after.samples[key].value - (old.value if old else 0)

    assert more("snakepit_calls_total", pool="default", tool="add", code="SP-OK") == 7
    assert more("snakepit_calls_total", pool="default", tool="fail", code="SP-REMOTE") == 3
    assert more("snakepit_call_duration_seconds_count", pool="default", tool="add") == 7
    assert more("snakepit_call_duration_seconds_sum", pool="default", tool="add") > 0
    assert more("snakepit_queue_wait_seconds_count", pool="default") == 10
    assert more("snakepit_queue_wait_seconds_count", pool="other") == 0
    assert more("snakepit_wire_bytes_total", peer="client", direction="in") > 0
    assert more("snakepit_wire_bytes_total", peer="worker", direction="out") > 0


def test_steps_of_a_histogram_are_cumulative(daemon, client):
    client.execute("add", {"a": 1})
    metrics = Metrics(daemon)
    steps = {dict(labels)["le"]: sample.value for (name, labels), sample in metrics.samples.items()
             if name == "snakepit_call_duration_seconds_bucket" and ("tool", "add") in labels}
    assert len(steps) == 19 and {"0.0001", "0.5", "1.0", "60.0", "+Inf"} <= set(steps)
    values = [steps[le] for le in sorted(steps, key=float)]
    assert values == sorted(values)
    assert values[-1] == metrics.value("snakepit_call_duration_seconds_count", pool="default", tool="add")


def test_a_traced_call_is_the_exemplar_of_its_step(daemon, client):
    client.execute("echo", headers=[("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01")])
    metrics = Metrics(daemon, "openmetrics")
    assert metrics.text.endswith("# EOF\n")
    found = [s for (name, labels), s in metrics.samples.items()
             if name == "snakepit_call_duration_seconds_bucket" and s.exemplar]
    assert [s.exemplar.labels for s in found] == [{"trace_id": TRACE}]
    assert found[0].labels["tool"] == "echo"
    assert 0 < found[0].exemplar.value <= float(found[0].labels["le"])
    created = metrics.value("snakepit_calls_created", pool="default", tool="echo", code="SP-OK")
    assert created == metrics.value("snakepit_start_time_seconds") <= time.time()


def test_a_trace_that_nobody_keeps_is_no_exemplar(daemon, client):
    client.execute("where", headers=[("traceparent", f"00-{TRACE}-00f067aa0ba902b7-00")])
    assert '{trace_id="' not in "".join(
        line for line in Metrics(daemon, "openmetrics").text.splitlines() if '"where"' in line)


def test_a_cancelled_call_says_how_far_it_had_come(daemon, client, tmp_path):
    held, go = tmp_path / "x.held", tmp_path / "x.go"
    call = client.bridge.ExecuteTool.future(client.request("hold", {"path": str(tmp_path / "x")}))
    end = time.monotonic() + peers.DEADLINE_S
    while not held.exists():
        assert time.monotonic() < end
        Metrics(daemon)  # takes its time
    call.cancel()
    daemon_says(daemon, "snakepit_calls_cancelled_total", 1, pool="default", stage="started")
    go.touch()
    assert ended(Metrics(daemon), pool="default", tool="hold", code="SP-CANCELLED").value == 1


def daemon_says(daemon, name, wanted, **labels):
    end = time.monotonic() + peers.DEADLINE_S
    while time.monotonic() < end:
        sample = Metrics(daemon).samples.get((name, frozenset(labels.items())))
        if sample is not None and sample.value == wanted:
            return
    raise AssertionError(f"{name} {labels} is {sample}, not {wanted}")


def test_workers_are_slots_and_their_deaths_have_causes(daemon, client):
    slots = {"0", "1"}
    before = Metrics(daemon)
    died = before.value("snakepit_worker_deaths_total", pool="default", cause="crashed")
    spawned = before.value("snakepit_worker_spawned_total", pool="default")
    with pytest.raises(grpc.RpcError):
        client.execute("end", {"status": 3})
    daemon_says(daemon, "snakepit_worker_deaths_total", died + 1, pool="default", cause="crashed")
    daemon_says(daemon, "snakepit_pool_workers", 2, pool="default", state="ready")
    end = time.monotonic() + peers.DEADLINE_S
    while True:  # until both have been looked at
        after = Metrics(daemon)
        names = ["resident_memory_bytes", "tree_memory_bytes", "cpu_seconds_total",
                 "heartbeat_age_seconds", "open_fds"]
        found = [{dict(labels)["worker"] for found, labels in after.samples
                  if found == f"snakepit_worker_{name}" and ("pool", "default") in labels}
                 for name in names]
        if found == [slots] * len(names):
            break
        assert time.monotonic() < end, found
    assert after.value("snakepit_worker_spawned_total", pool="default") == spawned + 1
    started = {phase: [after.value(f"snakepit_worker_start_seconds_{kind}", pool="default",
                                   phase=phase) for kind in ("count", "sum")]
               for phase in ("total", "spawn", "exec", "import", "announce", "connect")}
    total, *parts, connect = started.values()
    assert connect == [0, 0] and total[1] > 0
    assert [total[0]] * 4 == [part[0] for part in parts] == [spawned + 1] * 4
    assert sum(part[1] for part in parts) == pytest.approx(total[1], abs=1e-4)
    assert after.value("snakepit_worker_resident_memory_bytes", pool="default", worker="0") > 1e6
    assert after.value("snakepit_loop_lag_seconds_count") > 0


def test_sessions_are_figures_and_never_labels(daemon, client):
    for i in range(300):
        client.execute("echo", session_id=f"secret-{i}")
    client.execute("echo", session_id="secret-1")
    metrics = Metrics(daemon)
    assert "secret" not in metrics.text
    total = sum(metrics.value("snakepit_session_affinity_total", pool="default", result=r)
                for r in ("hit", "miss", "moved"))
    assert total == 301
    assert metrics.value("snakepit_session_affinity_total", pool="default", result="miss") == 300


def test_json_and_the_table_have_the_same_figures(daemon, client):
    client.execute("add", {"a": 1})
    options = "--connect", daemon.address
    text = Metrics(daemon)
    report = json.loads(snakepit("metrics", "-o", "json", *options).out)
    found = {m["name"]: m for m in report["metrics"]}
    calls = {s["labels"]["tool"]: s["value"] for s in found["snakepit_calls"]["samples"]
             if s["labels"]["code"] == "SP-OK"}
    assert calls["add"] == text.value("snakepit_calls_total", pool="default", tool="add", code="SP-OK")
    times = [s for s in found["snakepit_call_duration_seconds"]["samples"]
             if s["labels"]["tool"] == "add"][0]
    assert times["count"] == sum(step["count"] for step in times["steps"]) == calls["add"]
    lines = [line.split() for line in snakepit("metrics", "-o", "table", *options).lines]
    assert lines[0] == ["METRIC", "VALUE", "LABELS"]
    assert ["snakepit_calls", str(calls["add"]), "pool=default", "tool=add", "code=SP-OK"] in lines


def quantile(steps, share):
    """As histogram_quantile() of Prometheus has it."""
    wanted, low = share * sum(step["count"] for step in steps), 0
    for step in steps:
        if step["count"] > 0 and step["count"] >= wanted:
            high = step["up_to_seconds"]
            return low if high is None else low + (high - low) * wanted / step["count"]
        wanted -= step["count"]
        low = step["up_to_seconds"]
    raise AssertionError("there are none")


def test_quantiles_lie_within_their_step(daemon, client):
    client.execute("add", {"a": 1})
    options = "--connect", daemon.address
    report = json.loads(snakepit("metrics", "-o", "json", *options).out)
    [times] = [sample for metric in report["metrics"] for sample in metric["samples"]
               if metric["name"] == "snakepit_call_duration_seconds"
               and sample["labels"]["tool"] == "add"]
    [line] = [line for line in snakepit("metrics", "-o", "table", *options).lines
              if line.startswith("snakepit_call_duration_seconds") and "tool=add" in line]
    p50, p99 = (quantile(times["steps"], share) for share in (0.5, 0.99))
    assert f"{times['count']}, p50 {p50:.3g} s, p99 {p99:.3g} s" in line


@pytest.mark.parametrize("words, said", [
    (["-o", "promethius"], "did you mean prometheus"),
    (["x"], 'metrics takes no "x"'),
])
def test_a_slip_is_explained(words, said):
    done = snakepit("metrics", *words)
    assert done.code == 2 and said in done.err


def test_names_from_outside_are_no_labels(tmp_path):
    """Any function may be called by its name: thousands of names that fail are one line,
    and of those that do well the first twenty have lines of their own."""
    (tmp_path / "many.py").write_text(ADAPTER)
    with daemons.running(tmp_path / "d", adapter="none", size=2,
                         top=["telemetry: {tools_max: 20}"],
                         env={"set": {"PYTHONPATH": str(tmp_path)}}) as daemon:
        with peers.connected(daemon.address) as client:
            calls = [client.bridge.ExecuteTool.future(client.request(f"many.no_{i}"))
                     for i in range(100)]
            for i in range(100, 3000):
                assert isinstance(calls[i - 100].exception(), grpc.RpcError)
                calls.append(client.bridge.ExecuteTool.future(client.request(f"many.no_{i}")))
            assert all(call.exception() for call in calls)
            for i in range(30):
                assert client.execute(f"many.f{i}") == i
            with pytest.raises(grpc.RpcError):
                client.execute('many."quoted\\\n')
            metrics = Metrics(daemon)
        tools = metrics.labels("snakepit_call_duration_seconds_count", "tool")
        assert set(tools) == {f"many.f{i}" for i in range(20)} | {"_OTHER"}
        others = "snakepit_calls_total", {"pool": "default", "tool": "_OTHER"}
        assert metrics.value(others[0], code="SP-OK", **others[1]) == 10
        failed = sum(s.value for (name, labels), s in metrics.samples.items()
                     if name == others[0] and others[1].items() <= dict(labels).items())
        assert failed - 10 == 3001
        assert len(metrics.text) < 64 * 1024


def test_without_a_daemon_a_pit_is_looked_at(tmp_path):
    done = snakepit("metrics", cwd=tmp_path)
    assert done.code == 0
    assert parsed(done.out)["snakepit_pool_queue_limit", frozenset({("pool", "default")})].value == 1000
