# SPDX-License-Identifier: MIT
"""The benchmark runs, writes what its README says, and draws it; the figures are not
looked at."""

import json
import os
import re
import subprocess

import pytest
from cli_tool import BUILD, PYTHON, ROOT

pytestmark = pytest.mark.skipif("SNAKEPIT_TEST_PRELOAD" in os.environ,
                                reason="what is fast under a sanitizer is nobody's matter")

README = ROOT / "test" / "bench" / "README.md"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    done = subprocess.run([PYTHON, ROOT / "test" / "bench" / "run.py", "--build", BUILD,
                           "--out", folder, "--quick", "--only", "paced", "--only",
                           "streams"], capture_output=True, text=True, timeout=300,
                          check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return folder, done.stdout, json.loads((folder / "results.json").read_text())


def test_every_key_is_documented_and_there(run):
    table = README.read_text().split("## results.json")[1].split("Groups of")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, re.M)
    assert [key for row in rows for key in re.findall(r"`(\w+)`", row)] == list(run[2])


def test_groups_and_their_keys_are_documented(run):
    table = README.read_text().split("Groups of")[1].split("## Instructions")[0]
    rows = [row.split("|") for row in re.findall(r"^\| `.*\|$", table, re.M)]
    documented = {}
    for row in rows:
        for group in re.findall(r"`(\w+)`", row[1]):
            documented.setdefault(group, "")
            documented[group] += row[4]
    for group, names in run[2]["medians"].items():
        assert group in documented
        for places in names.values():
            for entry in places.values():
                assert entry["repetitions"] == 1
                assert set(entry["spread"]) <= set(entry)
    first = run[2]["medians"]["first"]["product"]["1"]
    assert set(re.findall(r"`(\w+)`", documented["first"])) == set(first) - {
        "repetitions", "spread"}


def test_calls_on_a_schedule_were_all_answered(run):
    measured = {(s["group"], s["at"]): s["measured"][0] for s in run[2]["samples"]}
    for workers in (1, 2):
        paced = measured[("paced", workers)]
        assert paced["wrong"] == 0
        assert paced["counted"] > 0
        # What was due is counted, answered late or not: no omission.
        due = paced["wanted_rate"] * run[2]["plan"]["measure_ms"] / 1000
        assert abs(paced["counted"] - due) <= 2


def test_bars_say_what_they_judge(run):
    for bar in run[2]["bars"]:
        is_measured = bar["value"] is not None
        assert (bar["verdict"] == "not measured") == (not is_measured)
        if is_measured and bar["verdict"] == "met":
            assert (bar["value"] <= bar["bar"]) == (bar["way"] == "at most") or (
                bar["value"] == bar["bar"])
    assert any(bar["value"] is not None for bar in run[2]["bars"])
    assert "\nBars\n" in run[1]


def test_the_page_stands_alone(run):
    page = (run[0] / "results.html").read_text()
    assert page.startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")
    assert not re.search(r"(src|href)\s*=|@import|url\(", page)
    assert "On a schedule, half of the capacity" in page


def test_what_is_no_section_is_refused():
    done = subprocess.run([PYTHON, ROOT / "test" / "bench" / "run.py", "--only", "calles"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "calles" in done.stderr
