# SPDX-License-Identifier: MIT
"""The alerts and the dashboard in share/: each asks only for what a daemon really has."""

import json
import re
import shutil
import subprocess

import daemons
import peers
import pytest
from cli_tool import ROOT
from test_metrics import Metrics

grpc = pytest.importorskip("grpc", reason="needs python3-grpcio")

RULES = ROOT / "share" / "snakepit.rules.yml"
DASHBOARD = ROOT / "share" / "snakepit-dashboard.json"
FULL = """
rule_files: ["{rules}"]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - series: snakepit_pool_queue_length{{pool="a"}}
        values: 900x5
      - series: snakepit_pool_queue_limit{{pool="a"}}
        values: 1000x5
      - series: snakepit_calls_total{{pool="a",code="SP-OK"}}
        values: 0+60x20
      - series: snakepit_calls_total{{pool="a",code="SP-REMOTE"}}
        values: 0+30x20
      - series: snakepit_export_dropped_total{{instance="b",signal="traces",reason="unreached"}}
        values: 0+2x30
    alert_rule_test:
      - eval_time: 4m
        alertname: SnakepitQueueFilling
        exp_alerts:
          - exp_labels: {{severity: warning, pool: a}}
            exp_annotations:
              summary: "the queue of pool a is 90% full"
              description: "Calls will be refused with SP-QUEUE-FULL: add workers, or call less."
      - eval_time: 20m
        alertname: SnakepitCallsFail
        exp_alerts:
          - exp_labels: {{severity: warning, pool: a}}
            exp_annotations:
              summary: "33.33% of the calls of pool a fail"
              description: "snakepit_calls_total has them by tool and code."
      - eval_time: 25m
        alertname: SnakepitTelemetryLost
        exp_alerts:
          - exp_labels: {{severity: warning, instance: b, signal: traces, reason: unreached}}
            exp_annotations:
              summary: "traces of b get lost: unreached"
              description: "Does the collector of telemetry.otlp or telemetry.statsd run, and keep up?"
"""


@pytest.fixture(scope="module")
def samples(tmp_path_factory, stubs):
    """{a sample's name: the names of its labels}, of a daemon that has done something."""
    place = tmp_path_factory.mktemp("watched")
    with daemons.running(place, size=1, top=["sample_interval: 50ms"]) as daemon:
        with peers.connected(daemon.address) as client:
            client.execute("add", {"a": 1}, session_id="one")
        while True:  # until the worker has been looked at
            found = {}
            for name, labels in Metrics(daemon).samples:
                found.setdefault(name, set()).update(dict(labels))
            if "snakepit_worker_cpu_seconds_total" in found:
                return found


def expressions_of_rules():
    text = re.sub(r"\n {10}(?=\S)", " ", RULES.read_text())
    return re.findall(r"^ +expr: (?:>- )?(.*)$", text, re.M)


def expressions_of_dashboard():
    dashboard = json.loads(DASHBOARD.read_text())
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


@pytest.mark.parametrize("expressions", [expressions_of_rules, expressions_of_dashboard])
def test_every_metric_and_label_is_there(samples, expressions):
    recorded = set(re.findall(r"record: (\S+)", RULES.read_text()))
    found = expressions()
    assert len(found) > 12
    for text in found:
        names = re.findall(r"(?<![\w:])(?:snakepit|process)[_:][\w:]+", text)
        assert names, text
        for name in names:
            assert name in samples or name in recorded, f"{name} in {text}"
        labels = {"instance", *recorded}
        for name in names:
            labels |= samples.get(name, {"pool", "tool"})
        used = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", text)
        for group in re.findall(r"by \(([^)]*)\)", text):
            used += [word.strip() for word in group.split(",")]
        assert set(used) <= labels, text


def test_the_panels_do_not_overlap():
    dashboard = json.loads(DASHBOARD.read_text())
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    assert len({(place["x"], place["y"]) for place in places}) == len(places)
    assert all(place["x"] + place["w"] <= 24 for place in places)
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(places)


def promtool(*words, cwd=None):
    if shutil.which("promtool") is None:
        pytest.skip("needs promtool (prometheus)")
    return subprocess.run(["promtool", *words], capture_output=True, text=True, cwd=cwd,
                          timeout=peers.DEADLINE_S)


def test_promtool_accepts_the_rules():
    ran = promtool("check", "rules", str(RULES))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"{len(expressions_of_rules())} rules found" in ran.stdout


def test_alerts_fire_for_what_they_are_about(tmp_path):
    (tmp_path / "test.yml").write_text(FULL.format(rules=RULES))
    ran = promtool("test", "rules", "test.yml", cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
