# SPDX-License-Identifier: MIT
"""snakepit config: check, show, explain; and the manual page agrees with the table."""

import re

import pytest
from cli_tool import ROOT, snakepit


def test_a_sound_file_is_counted(tmp_path):
    (tmp_path / "f.yaml").write_text("pools:\n- {name: a, size: 3}\n- {name: b, size: 1}\n")
    done = snakepit("config", "check", "f.yaml", cwd=tmp_path)
    assert (done.code, done.out, done.err) == (0, "f.yaml: ok, 2 pools, 4 workers\n", "")
    done = snakepit("config", "check", "f.yaml", "-o", "json", cwd=tmp_path)
    assert done.json == {"version": 1, "ok": True, "file": "f.yaml", "pools": 2,
                         "workers": 4}
    (tmp_path / "g.yaml").write_text("pools: [{size: 5}]\nworkers_max: 3\n")
    assert "workers_max is 3" in snakepit("config", "check", "g.yaml", cwd=tmp_path).err


@pytest.mark.parametrize("text, message", [
    ("pools:\n  - name: a\n    size: 0\n",
     "f.yaml:3:11: pools[0].size: 0 is out of range 1..1000"),
    ("pools:\n  - sizee: 0\n",
     'f.yaml:2:5: pools[0].sizee: unknown key; did you mean "size"?'),
    ("pools:\n\t- size: 0\n",
     "f.yaml:2:1: a tab character; YAML is indented with spaces"),
])
def test_a_mistake_is_a_finding_with_its_place(tmp_path, text, message):
    (tmp_path / "f.yaml").write_text(text)
    done = snakepit("config", "check", "f.yaml", cwd=tmp_path)
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines()[0] == f"error SP-CONFIG: {message}"
    # For every other command it is a usage error.
    done = snakepit("call", "add", "--config", "f.yaml", "-o", "json", cwd=tmp_path)
    assert (done.code, done.error["message"]) == (2, message)


def test_a_missing_file_is_not_found(tmp_path):
    done = snakepit("config", "check", "f.yaml", cwd=tmp_path)
    assert (done.code, done.out) == (4, "")


def settings(*words, **more):
    done = snakepit("config", "show", "-o", "json", *words, **more)
    assert done.code == 0, done.err
    return {s["key"]: s for s in done.json["settings"]}


def test_show_says_where_each_value_comes_from(tmp_path):
    (tmp_path / "snakepit.yaml").write_text(
        "instance: x\ndefaults: {call_timeout: 90s}\n"
        "pools: [{name: p, queue: {max: 5}, size: 9}]\n")
    env = {"SNAKEPIT_QUEUE_TIMEOUT": "1500ms", "SNAKEPIT_POOL_SIZE": "7",
           "SNAKEPIT_PYTHON": ""}
    shown = settings("--set", "pools.p.max_concurrency=2", "-a", "m:C", cwd=tmp_path, env=env)
    for key, value, source in [("instance", "x", "file"),
                               ("pools.p.call_timeout", "90s", "file"),
                               ("pools.p.queue.max", "5", "file"),
                               ("pools.p.size", "7", "environment"),
                               ("pools.p.queue_timeout", "1500ms", "environment"),
                               ("pools.p.max_concurrency", "2", "flag"),
                               ("pools.p.adapter", "m:C", "flag"),
                               ("pools.p.stream_timeout", "5m", "default")]:
        assert (shown[key]["value"], shown[key]["source"]) == (value, source)
    changed = settings("--changed", cwd=tmp_path, env=env)
    assert "pools.p.stream_timeout" not in changed
    assert "pools.p.size" in changed


def test_show_is_a_table(tmp_path):
    done = snakepit("config", "show", cwd=tmp_path)
    assert done.lines[0].split() == ["KEY", "VALUE", "SOURCE", "DEFAULT"]
    assert "no file" in done.err


def test_explain_knows_every_key():
    keys = snakepit("config", "explain", "-o", "json").json["keys"]
    assert len(keys) > 30
    for key in keys:
        done = snakepit("config", "explain", key["key"])
        assert done.code == 0
        assert key["text"] in done.out
    done = snakepit("config", "explain", "call_timout")
    assert (done.code, done.out) == (4, "")
    assert 'did you mean "call_timeout"?' in done.err


def test_the_manual_describes_every_key_as_the_table_does():
    page = (ROOT / "docs/man/snakepit.yaml.5.scd").read_text().replace("\\_", "_")
    of_file, of_pool = page.split("# KEYS OF A POOL")
    for key in snakepit("config", "explain", "-o", "json").json["keys"]:
        name = key["key"].replace("pools[].", "")
        part = of_file if name == key["key"] else of_pool
        entry = re.search(rf"^\*{re.escape(name)}\* \((.*)\)\n((?:\t.*\n)+)", part, re.M)
        assert entry, f"{name} is not in the manual"
        assert not key["environment"] or f"*{key['environment']}*" in entry[1]
        assert not key["default"] or f"default _{key['default']}_" in entry[1]
        assert key["type"] not in ("count", "duration", "size") or key["range"] in entry[1]
        plain = " ".join(re.sub(r"[*_`]", "", entry[2]).split())
        assert plain.startswith(re.sub(r"[*_`]", "", key["text"]))


def test_config_says_what_it_can_do():
    assert snakepit("config").code == 2
    done = snakepit("config", "checks")
    assert done.code == 2
    assert 'did you mean "check"?' in done.err


def test_check_adds_up_the_memory_of_old_and_new_workers(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("pools: [{name: a, size: 900, recycle: {memory: 1000GiB}}]\n")
    done = snakepit("config", "check", str(file))
    assert done.code == 0
    assert "warning: workers may grow to" in done.err
    assert "a: (900 + 1) x 1024000 MiB" in done.err
    file.write_text("pools: [{name: a, size: 1, recycle: {memory: 1MiB}}]\n")
    assert snakepit("config", "check", str(file)).err == ""
