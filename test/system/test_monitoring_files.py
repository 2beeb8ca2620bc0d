# SPDX-License-Identifier: MIT
"""The alerts and the dashboard in share/: each asks only for what a daemon really has."""

import json
import re

import daemons
import peers
import pytest
from cli_tool import ROOT
from test_metrics import Metrics

grpc = pytest.importorskip("grpc", reason="needs python3-grpcio")

RULES = ROOT / "share" / "snakepit.rules.yml"
DASHBOARD = ROOT / "share" / "snakepit-dashboard.json"


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


def lost(before, after, path=""):
    """Where `after` lacks what `before` has."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [place for key in before
                for place in lost(before[key], after.get(key), f"{path}/{key}")]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [place for number, pair in enumerate(zip(before, after))
                for place in lost(*pair, f"{path}/{number}")]
    return [] if before == after else [path]


def test_grafana_has_every_field_of_the_dashboard():
    """Its own classes, made from its schemas, read the dashboard and write it again."""
    with peers.packages():
        from grafana_foundation_sdk.cog import encoder, plugins
        from grafana_foundation_sdk.models import dashboard as grafana

        plugins.register_default_plugins()
    before = json.loads(DASHBOARD.read_text())
    after = json.loads(encoder.JSONEncoder().encode(grafana.Dashboard.from_json(before)))
    assert lost(before, after) == []
    before["panels"][0]["fieldConfig"]["defaults"]["units"] = "s"
    after = json.loads(encoder.JSONEncoder().encode(grafana.Dashboard.from_json(before)))
    assert lost(before, after) == ["/panels/0/fieldConfig/defaults/units"]
