# SPDX-License-Identifier: MIT
"""snakepit doctor: one line for each thing workers need, the first `fail` to mend."""

import os
import re
import resource

from cli_tool import PYTHON, snakepit

CHECKS = ["snakepit", "config", "kernel", "limits", "python", "guard", "bridge",
          "adapter", "call", "imports", "node", "ruby", "r"]


def checks(*words, **more):
    done = snakepit("doctor", "-o", "json", *words, **more)
    return done, {c["check"]: c for c in done.json["checks"]}


def test_a_sound_machine_is_ok():
    done = snakepit("doctor")
    assert (done.code, done.err) == (0, "")
    rows = [line.split()[:2] for line in done.lines]
    assert rows == [["ok", check] for check in CHECKS]


def test_facts_name_the_interpreter_and_the_round_trip():
    done, found = checks()
    assert (done.code, done.json["version"], done.json["ok"]) == (0, 1, True)
    assert re.match(rf"3\.\d+\.\d+ {PYTHON}", found["python"]["facts"])
    assert re.match(r"ping answered in \d+ us", found["call"]["facts"])


def test_a_shim_is_resolved(tmp_path):
    shim = tmp_path / "python-shim"
    os.symlink(PYTHON, shim)
    _, found = checks("--python", shim)
    assert f"{shim} -> {os.path.realpath(PYTHON)}" in found["python"]["facts"]


def test_the_hint_about_descriptors_mends_it():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    config = ["--set", "pools.default.size=100"]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        _, found = checks(*config)
        limits = found["limits"]
        assert limits["level"] == "warn"
        wanted = int(re.match(r"ulimit -n (\d+);", limits["hint"]).group(1))
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, before[1]))
        assert checks(*config)[1]["limits"]["level"] == "ok"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_an_interpreter_that_does_not_run(tmp_path):
    done, found = checks("--python", "/bin/false")
    assert (done.code, done.json["ok"]) == (1, False)
    assert found["python"]["level"] == "fail"
    assert "bridge" not in found  # its ground is missing
    assert found["python"]["hint"]


def test_an_interpreter_without_a_version(tmp_path):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho this is no python >&2\nexit 3\n")
    script.chmod(0o755)
    done, found = checks("--python", script)
    assert done.code == 1
    assert "this is no python" in found["python"]["facts"]


def test_an_adapter_that_does_not_import():
    done, found = checks("-a", "no.such:Thing")
    assert done.code == 1
    assert found["bridge"]["level"] == "ok"
    assert found["adapter"]["level"] == "fail"
    assert "No module named 'no'" in found["adapter"]["facts"]
    done = snakepit("doctor", "-a", "no.such:Thing")
    assert done.code == 1
    assert "try: " in done.out


def test_an_adapter_without_ping(tmp_path):
    (tmp_path / "a.py").write_text("def hello():\n    return 1\n")
    done, found = checks("-a", "a.py", cwd=tmp_path)
    assert done.code == 0, done.out
    assert "left out" in found["call"]["facts"]


def test_a_guard_that_is_missing():
    done, found = checks(env={"SNAKEPIT_GUARD": "/nonexistent/guard"})
    assert done.code == 1
    assert found["guard"]["level"] == "fail"
    assert "adapter" not in found


def test_a_wrong_configuration_is_a_usage_error(tmp_path):
    (tmp_path / "snakepit.yaml").write_text("nope: 1\n")
    done = snakepit("doctor", cwd=tmp_path)
    assert (done.code, done.out) == (2, "")


def test_what_an_adapters_imports_bring_along_is_told(tmp_path):
    (tmp_path / "adapter.py").write_text("import sqlite3\nprint('noise')\ndef ping():\n    return 1\n")
    config = tmp_path / "snakepit.yaml"
    config.write_text("pools: [{adapter: adapter.py, profile: thread, size: 1}]\n")
    done, found = checks("--config", config)
    assert done.code == 0, done.err
    assert found["imports"]["level"] == "warn"
    assert "GIL on" in found["imports"]["facts"]
    assert "not made for threads: sqlite3" in found["imports"]["facts"]


def test_other_languages_are_looked_for_and_not_missed():
    done, found = checks(env={"PATH": "/nowhere"})
    assert done.code == 0
    for language in ("node", "ruby", "r"):
        assert found[language]["level"] == "ok"
        assert "not installed" in found[language]["facts"]
    _, found = checks()
    assert "bridge built" in found["node"]["facts"], found["node"]


def test_a_pool_of_another_language_needs_its_interpreter(tmp_path):
    config = tmp_path / "snakepit.yaml"
    config.write_text("pools: [{runtime: node, adapter: showcase, size: 1}]\n")
    done, found = checks("--config", config, env={"PATH": "/nowhere"})
    assert done.code == 1
    assert found["node"]["level"] == "fail" and "nodejs" in found["node"]["hint"]
    assert "guard" not in found
    done, found = checks("--config", config, env={"SNAKEPIT_NODE": "/bin/false"})
    assert found["node"]["level"] == "fail" and "exit status 1" in found["node"]["facts"]
