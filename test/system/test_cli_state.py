# SPDX-License-Identifier: MIT
"""`snakepit session`, `var` and `program`: state that outlives the command, in a folder
and with a daemon. Every test that takes `state` runs with both."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from cli_tool import SNAKEPIT, Started, environment, snakepit, wait_until

import daemons


class State:
    """Commands on one set of sessions, as (words, environment) say where it is."""

    def __init__(self, words=(), env=None):
        self.words = list(words)
        self.env = env or {}

    def __call__(self, *words, stdin=None):
        return snakepit(*words, *self.words, env=self.env, stdin=stdin)

    def ok(self, *words, stdin=None):
        done = self(*words, stdin=stdin)
        assert done.code == 0, done.err
        return done

    def json(self, *words):
        return self.ok(*words, "-o", "json").json


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    place = tmp_path_factory.mktemp("daemon")
    with daemons.running(place) as running:
        yield running


@pytest.fixture(params=["folder", "daemon"])
def state(request, tmp_path):
    if request.param == "folder":
        yield State(env={"SNAKEPIT_STATE_DIR": str(tmp_path / "state")})
        return
    daemon = request.getfixturevalue("daemon")
    state = State(["--connect", daemon.address])
    yield state
    for name in state.ok("session", "list", "--names").lines:
        state.ok("session", "end", name)


# ---- sessions ----


def test_a_session_outlives_the_command(state):
    done = state.ok("session", "create", "alice", "--ttl", "2h", "--metadata",
                    '{"user": 17}')
    assert done.out == "alice\n"
    info = state.json("session", "get", "alice")["session"]
    assert (info["id"], info["metadata"], info["ttl_ms"]) == ("alice", {"user": 17}, 7200000)
    assert info["durability"] == "crash"
    assert 0 < info["remaining_ms"] <= 7200000
    state.ok("session", "end", "alice")
    done = state("session", "get", "alice")
    assert (done.code, done.out) == (4, "")
    assert 'no session "alice"' in done.err


def test_a_session_is_created_once_or_used(state):
    state.ok("session", "create", "a")
    done = state("session", "create", "a")
    assert done.code == 5 and "SP-EXISTS" in done.err
    assert state("session", "create", "a", "-o", "json").error["category"] == "state"
    assert state.ok("session", "create", "a", "--or-get", "--ttl", "5s").out == "a\n"
    assert state.json("session", "get", "a")["session"]["ttl_ms"] == 3600000


def test_a_session_without_a_name_gets_one(state):
    first, second = (state.ok("session", "create").out.strip() for _ in range(2))
    assert first != second and first.startswith("session-")
    assert state.ok("session", "list", "--names").lines == sorted([first, second])


def test_metadata_changes_member_by_member(state):
    state.ok("session", "create", "a", "--metadata", '{"x": 1.25, "y": [0.1], "z": 3}')
    state.ok("session", "set", "a", "y=2", "z=null", "note=half done", "--ttl", "never")
    info = state.json("session", "get", "a")["session"]
    assert info["metadata"] == {"x": 1.25, "y": 2, "note": "half done"}
    assert info["ttl_ms"] is None and info["remaining_ms"] is None
    state.ok("session", "set", "a", "--metadata", "{}")
    assert state.json("session", "get", "a")["session"]["metadata"] == {}


def test_the_list_and_the_numbers(state):
    for name in ("b", "a", "ä"):
        state.ok("session", "create", name)
    state.ok("var", "register", "b", "v", "integer", "1")
    listed = state.json("session", "list")["sessions"]
    assert [s["id"] for s in listed] == ["a", "b", "ä"]
    assert [s["variables"] for s in listed] == [0, 1, 0]
    lines = state.ok("session", "list", "-o", "jsonl").lines
    assert [json.loads(line)["id"] for line in lines] == ["a", "b", "ä"]
    table = state.ok("session", "list").lines
    assert table[0].split()[:2] == ["SESSION", "TTL"] and len(table) == 4
    stats = state.json("session", "stats")["stats"]
    assert (stats["sessions"], stats["variables"]) == (3, 1)


def test_an_unused_session_ends(state):
    state.ok("session", "create", "short", "--ttl", "1ms")
    state.ok("session", "create", "long")
    wait_until(lambda: state.ok("session", "list", "--names").lines == ["long"],
               "the session to end")
    assert state("session", "get", "short").code == 4


# ---- variables ----


@pytest.fixture
def alice(state):
    state.ok("session", "create", "alice")
    state.ok("var", "register", "alice", "temperature", "float", "0.7",
             "--constraints", '{"min": 0, "max": 2}')
    return state


def test_a_variable_keeps_its_rules_between_commands(alice):
    assert alice.ok("var", "get", "alice", "temperature").out == "0.7\n"
    alice.ok("var", "set", "alice", "temperature", "1.5", "--by", "me")
    done = alice("var", "set", "alice", "temperature", "3")
    assert done.code == 2 and "SP-BAD-VALUE" in done.err and "maximum 2" in done.err
    found = alice.json("var", "get", "alice", "temperature")["variable"]
    assert (found["type"], found["value"], found["version"]) == ("float", 1.5, 1)
    assert found["constraints"] == {"min": 0, "max": 2} and found["changed_by"] == "me"
    facts = dict(line.split(None, 1)
                 for line in alice.ok("var", "get", "alice", "temperature", "-o", "table").lines)
    assert (facts["value"], facts["type"]) == ("1.5", "float")


@pytest.mark.parametrize("type, word, value", [
    ("string", "123", "123"), ("string", '"123"', "123"), ("string", "true", "true"),
    ("integer", "123", 123), ("auto", "123", 123), ("auto", "abc", "abc"),
    ("choice", "1", "1"), ("list", "[1, \"a\"]", [1, "a"]), ("boolean", "true", True),
    ("float", "12345678901234567890", 1.2345678901234567e19),
    ("integer", "123456789012345678901234567890", 123456789012345678901234567890),
])
def test_words_are_values_of_the_type(state, type, word, value):
    state.ok("session", "create", "s")
    done = state("var", "register", "s", "v", type, word)
    if done.code != 0:  # an integer has a range
        assert "SP-BAD-VALUE" in done.err
        return
    found = state.json("var", "get", "s", "v")["variable"]["value"]
    assert found == value and found.__class__ is value.__class__


def test_a_word_that_is_set_is_of_the_variables_type(state):
    state.ok("session", "create", "s")
    state.ok("var", "register", "s", "text", "string", "one")
    state.ok("var", "set", "s", "text", "2")
    assert state.ok("var", "get", "s", "text").out == '"2"\n'
    assert state.ok("var", "get", "s", "text", "-o", "text").out == "2\n"


def test_values_come_from_files_and_standard_input(state, tmp_path):
    (tmp_path / "value").write_text('{"a": [1,\n2]}')
    state.ok("session", "create", "s")
    state.ok("var", "register", "s", "m", "map", f"@{tmp_path}/value")
    [line] = state.ok("var", "get", "s", "m").lines
    assert json.loads(line) == {"a": [1, 2]}
    state.ok("var", "set", "s", "m", "-", stdin='{"b": 1}')
    assert json.loads(state.ok("var", "get", "s", "m").out) == {"b": 1}
    done = state("var", "set", "s", "m", "@nowhere")
    assert done.code == 4 and "nowhere" in done.err


def test_somebody_elses_change_is_not_overwritten(alice):
    alice.ok("var", "set", "alice", "temperature", "1", "--expect-version", "0")
    done = alice("var", "set", "alice", "temperature", "2", "--expect-version", "0")
    assert done.code == 5 and "SP-CONFLICT" in done.err
    assert alice.ok("var", "get", "alice", "temperature").out == "1.0\n"


def test_several_are_set_together_or_not_at_all(alice):
    alice.ok("var", "register", "alice", "model", "choice", "small", "--constraints",
             '{"choices": ["small", "large"]}')
    alice.ok("var", "set", "alice", "temperature=1.5", "model=large")
    done = alice("var", "set", "alice", "temperature=0", "model=huge")
    assert done.code == 2
    found = alice.json("var", "get", "alice", "temperature", "model")["variables"]
    assert [v["value"] for v in found] == [1.5, "large"]
    done = alice("var", "get", "alice", "model", "nothing", "-o", "jsonl")
    assert done.code == 4 and json.loads(done.out)["name"] == "model"


def test_history_and_rollback(alice):
    for value in ("0.8", "0.9"):
        alice.ok("var", "set", "alice", "temperature", value)
    alice.ok("var", "rollback", "alice", "temperature", "0")
    found = alice.json("var", "history", "alice", "temperature")["history"]
    assert [(v["version"], v["value"]) for v in found] == [(3, 0.7), (2, 0.9), (1, 0.8),
                                                          (0, 0.7)]
    assert len(alice.ok("var", "history", "alice", "temperature", "-n", "2").lines) == 3
    assert alice("var", "rollback", "alice", "temperature", "9").code == 4
    assert alice("var", "rollback", "alice", "temperature", "x").code == 2


def test_a_lock_has_an_owner(alice):
    alice.ok("var", "lock", "alice", "temperature", "--owner", "tuner")
    done = alice("var", "set", "alice", "temperature", "1")
    assert done.code == 5 and "SP-LOCKED" in done.err and "tuner" in done.err
    alice.ok("var", "set", "alice", "temperature", "1", "--owner", "tuner")
    assert alice("var", "unlock", "alice", "temperature", "--owner", "other").code == 5
    assert alice("var", "unlock", "alice", "temperature").code == 2
    alice.ok("var", "unlock", "alice", "temperature", "--force")
    alice.ok("var", "set", "alice", "temperature", "2")


def test_dependencies_make_no_circle(alice):
    alice.ok("var", "register", "alice", "loss", "float", "1")
    alice.ok("var", "depend", "alice", "loss", "temperature")
    assert alice("var", "depend", "alice", "temperature", "loss").code == 5
    found = alice.json("var", "depend", "alice", "loss")["dependencies"]
    assert found == [{"from": "loss", "to": "temperature", "kind": "data"}]


def test_what_is_exported_can_be_imported(alice, tmp_path):
    array = alice.ok("var", "export", "alice").out
    alice.ok("session", "create", "bob")
    alice.ok("var", "import", "bob", "-", stdin=array)
    assert json.loads(alice.ok("var", "export", "bob").out) == json.loads(array)
    done = alice("var", "import", "bob", "-", stdin="{}")
    assert done.code == 2 and "SP-BAD-VALUE" in done.err


def test_the_list_can_be_narrowed_and_a_variable_deleted(alice):
    for name in ("lr_a", "lr_b"):
        alice.ok("var", "register", "alice", name, "float", "1")
    assert alice.ok("var", "list", "alice", "--names").lines == ["temperature", "lr_a", "lr_b"]
    assert alice.ok("var", "list", "alice", "--pattern", "lr_*", "--names").lines == \
        ["lr_a", "lr_b"]
    alice.ok("var", "delete", "alice", "lr_a")
    assert alice("var", "get", "alice", "lr_a").code == 4
    assert alice.ok("var", "list", "alice").lines[0].split()[:3] == ["VARIABLE", "TYPE",
                                                                    "VALUE"]


# ---- programs ----


def test_programs_of_a_session_and_of_all(state):
    state.ok("session", "create", "s")
    state.ok("program", "store", "s", "p", '{"model": "m"}')
    state.ok("program", "store", "--global", "p", "-", stdin="[1]")
    assert state.ok("program", "get", "s", "p").out == '{"model": "m"}\n'
    assert state.ok("program", "get", "--global", "p").out == "[1]\n"
    state.ok("program", "update", "s", "p", "2")
    assert state.json("program", "get", "s", "p")["program"]["data"] == 2
    assert state("program", "update", "s", "q", "2").code == 4
    assert state.ok("program", "list", "s", "--names").lines == ["p"]
    assert [p["id"] for p in state.json("program", "list", "--global")["programs"]] == ["p"]
    state.ok("program", "delete", "s", "p")
    state.ok("program", "delete", "--global", "p")
    assert state("program", "get", "s", "p").code == 4
    assert state("program", "get", "p").code == 2
    assert state("program", "store", "s", "p", "1", "--ttl", "5s").code == 2


# ---- completion ----


def test_what_is_there_is_offered(alice):
    def complete(*words):
        return snakepit("complete", "--", *words[:2], *alice.words, *words[2:],
                        env=alice.env).lines

    alice.ok("session", "create", "bob")
    alice.ok("var", "register", "alice", "model", "string", "x")
    alice.ok("program", "store", "alice", "prompt", "1")
    assert complete("session", "get", "") == ["alice", "bob"]
    assert complete("session", "end", "alice", "b") == ["bob"]
    assert complete("session", "create", "") == []
    assert complete("var", "get", "al") == ["alice"]
    assert complete("var", "set", "alice", "") == ["temperature", "model"]
    assert complete("var", "register", "alice", "") == []
    assert complete("program", "get", "alice", "") == ["prompt"]
    assert complete("program", "get", "--global", "") == []
    assert complete("var", "get", "nobody", "") == []


# ---- mistakes ----


@pytest.mark.parametrize("words, part", [
    (["session", "get", "nobody"], "SP-NOT-FOUND"),
    (["session", "set", "nobody"], "what?"),
    (["session", "create", "x", "--metadata", "[1]"], "metadata"),
    (["session", "create", "x", "--ttl", "soon"], "--ttl"),
    (["session", "create", "x", "--durability", "rock"], "memory, crash or durable"),
    (["session", "creat", "x"], "create"),
    (["var", "set", "s", "x"], "NAME=VALUE"),
    (["var", "register", "s", "x", "float"], "needs more"),
    (["var", "lock", "s", "x"], "--owner"),
    (["var", "get", "s", "x", "--expect-version", "1"], "unknown option"),
    (["var", "set", "s", "x", "1", "--expect-version", "-1"], "--expect-version"),
    (["program", "list", "s", "--global"], "takes --global"),
])
def test_mistakes_are_explained(tmp_path, words, part):
    done = snakepit(*words, "--state-dir", tmp_path / "state")
    assert done.code in (2, 4) and done.out == ""
    assert part in done.err
    assert done.err.startswith("error")


def test_errors_are_json_too(tmp_path):
    done = snakepit("session", "get", "x", "--state-dir", tmp_path / "s", "-o", "json")
    assert (done.code, done.out) == (4, "")
    assert done.error["name"] == "SP-NOT-FOUND"


# ---- watching ----


def test_changes_are_watched_in_order(state):
    state.ok("session", "create", "w")
    state.ok("var", "register", "w", "v", "integer", "0")
    with Started("var", "watch", "w", "--initial", "-o", "jsonl", "-n", "8",
                 *state.words, env=state.env) as watch:
        assert json.loads(watch.line())["change"] == "initial"  # from here on none is missed
        for value in range(1, 4):
            state.ok("var", "set", "w", "v", str(value))
        assert [json.loads(watch.line())["variable"]["value"] for _ in range(3)] == [1, 2, 3]
        state.ok("var", "lock", "w", "v", "--owner", "me")
        assert json.loads(watch.line())["variable"]["locked_by"] == "me"
        state.ok("var", "register", "w", "new", "string", "x")
        assert json.loads(watch.line())["change"] == "registered"
        state.ok("var", "unlock", "w", "v", "--force")
        assert json.loads(watch.line())["change"] == "lock"
        state.ok("var", "delete", "w", "v")
        done = watch.end()
    change = json.loads(done.out)
    assert (done.code, change["change"], change["variable"]["name"]) == (0, "deleted", "v")


def test_only_the_named_are_watched_and_only_for_a_time(state):
    state.ok("session", "create", "w")
    for name in "ab":
        state.ok("var", "register", "w", name, "integer", "0")
    with Started("var", "watch", "w", "b", "-n", "1", *state.words, env=state.env) as watch:
        while watch.process.poll() is None:  # the first changes may come before it looks
            state.ok("var", "set", "w", "a", "1")
            state.ok("var", "set", "w", "b", "2")
        done = watch.end()
    assert done.code == 0 and " b = 2 (version " in done.out
    done = state("var", "watch", "w", "--timeout", "50ms")
    assert (done.code, done.out) == (0, "")


def test_a_watch_ends_with_its_session_and_with_an_interrupt(state):
    state.ok("session", "create", "w")
    state.ok("var", "register", "w", "v", "integer", "0")
    for end, code in ((lambda watch: watch.signal(signal.SIGINT), 130),
                      (lambda watch: state.ok("session", "end", "w"), 4)):
        with Started("var", "watch", "w", "--initial", *state.words, env=state.env) as watch:
            assert " v = 0 (version 0)" in watch.line()
            end(watch)
            assert watch.end().code == code
    assert state("var", "watch", "w").code == 4


# ---- where the state is ----


def test_two_commands_at_once_take_turns(tmp_path):
    env = {"SNAKEPIT_STATE_DIR": str(tmp_path / "state")}
    state = State(env=env)
    state.ok("session", "create", "s")
    state.ok("var", "register", "s", "v", "integer", "0")
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda n: state("var", "set", "s", "v", str(n)), range(24)))
    assert [d.code for d in done] == [0] * 24
    assert state.json("var", "get", "s", "v")["variable"]["version"] == 24


def test_the_holder_of_a_state_is_named(tmp_path):
    with daemons.running(tmp_path) as daemon:
        done = snakepit("session", "list", "--state-dir", tmp_path / "state")
        assert done.code == 5 and "SP-IN-USE" in done.err
        assert str(daemon.process.pid) in done.err and "--connect" in done.err


def test_status_goes_on_without_a_state_that_another_has(tmp_path):
    with daemons.running(tmp_path) as daemon:
        done = snakepit("status", "--config", tmp_path / "snakepit.yaml", "--size", "1",
                        env={"SNAKEPIT_STATE_DIR": str(tmp_path / "state")})
        assert done.code == 0, done.err
        assert f"in use by process {daemon.process.pid}" in done.err
        assert done.lines[-1].endswith("durability memory, store none")


def test_a_daemon_that_runs_is_found(tmp_path):
    with daemons.running(tmp_path) as daemon:
        config = ["--config", tmp_path / "snakepit.yaml"]
        env = {"XDG_STATE_HOME": str(tmp_path / "other")}
        assert snakepit("session", "create", "here", *config, env=env).code == 0
        assert State(["--connect", daemon.address]).ok(
            "session", "list", "--names").out == "here\n"
        address = {"SNAKEPIT_ADDRESS": daemon.address}
        assert snakepit("session", "list", "--names", env=address).out == "here\n"
    assert not (tmp_path / "other").exists()
    # It has gone: the folder of the instance is the state.
    done = snakepit("session", "list", "--names", *config, env=env)
    assert (done.code, done.out) == (0, "")
    assert (tmp_path / "other" / "snakepit").is_dir()


def test_instances_have_states_of_their_own(tmp_path):
    env = {"XDG_STATE_HOME": str(tmp_path), "SNAKEPIT_RUNTIME_DIR": str(tmp_path / "run")}
    state = State(env=env)
    state.ok("session", "create", "a")
    state.ok("session", "create", "b", "--instance", "other")
    assert state.ok("session", "list", "--names").out == "a\n"
    assert state.ok("session", "list", "--names", "--instance", "other").out == "b\n"
    assert sorted(p.name for p in (tmp_path / "snakepit").iterdir()) == ["default", "other"]


def test_an_instance_that_is_typed_comes_before_the_environment(tmp_path):
    with daemons.running(tmp_path, instance="typed") as daemon:
        env = {"SNAKEPIT_ADDRESS": f"unix:{tmp_path}/none", "SNAKEPIT_STATE_DIR": f"{tmp_path}/no"}
        words = ["--config", tmp_path / "snakepit.yaml", "--instance", "typed"]
        assert snakepit("session", "create", "here", *words, env=env).code == 0
        assert State(["--connect", daemon.address]).ok(
            "session", "list", "--names").out == "here\n"
    assert not (tmp_path / "no").exists()


def test_a_daemon_that_is_not_there_is_told(tmp_path):
    done = snakepit("session", "list", "--connect", f"unix:{tmp_path}/sock")
    assert done.code == 3 and "no daemon at unix:" in done.err


def test_a_daemon_has_its_state_after_a_restart(tmp_path):
    with daemons.running(tmp_path) as daemon:
        state = State(["--connect", daemon.address])
        state.ok("session", "create", "kept", "--ttl", "1h")
        state.ok("session", "create", "lost", "--durability", "memory")
        state.ok("var", "register", "kept", "v", "integer", "1")
        state.ok("var", "set", "kept", "v", "2")
        state.ok("program", "store", "kept", "p", '{"a": 1}')
        state.ok("program", "store", "--global", "g", "3")
        os.kill(daemon.process.pid, signal.SIGKILL)
        daemon.wait()
    with daemons.running(tmp_path, notify=tmp_path / "again") as daemon:
        state = State(["--connect", daemon.address])
        assert state.ok("session", "list", "--names").out == "kept\n"
        found = state.json("var", "history", "kept", "v")["history"]
        assert [v["value"] for v in found] == [2, 1]
        assert state.ok("program", "get", "kept", "p").out == '{"a": 1}\n'
        assert state.ok("program", "get", "--global", "g").out == "3\n"
        state.ok("var", "set", "kept", "v", "3", "--expect-version", "1")


def test_an_acknowledged_change_survives_the_command(tmp_path):
    """Killed at any moment, a command has done all or nothing, and what it acknowledged is
    there."""
    env = environment("killed", SNAKEPIT_STATE_DIR=str(tmp_path / "state"))
    state = State(env={"SNAKEPIT_STATE_DIR": str(tmp_path / "state")})
    state.ok("session", "create", "s")
    state.ok("var", "register", "s", "v", "integer", "0")
    acknowledged = 0
    for n in range(1, 21):
        process = subprocess.Popen([SNAKEPIT, "var", "set", "s", "v", str(n)], env=env,
                                   stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        if n % 2:  # at its first word, before it has closed the state
            assert process.stderr.read(1) == b"s"
            acknowledged = n
        process.kill()
        process.wait()
        process.stderr.close()
        value = state.json("var", "get", "s", "v")["variable"]["value"]
        assert value in (acknowledged, n), sys.argv
        acknowledged = value
