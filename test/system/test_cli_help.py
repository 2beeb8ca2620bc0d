# SPDX-License-Identifier: MIT
"""Help, explanations, completion and the manual: they teach, and they are true."""

import ctypes
import re
import shutil
import subprocess

import pytest
from cli_tool import BUILD, ROOT, SNAKEPIT, environment, snakepit

COMMANDS = """
    advise
    bench
    call cleanup completion config
    doctor drain
    events explain
    gen
    hardware help
    init inspect
    kill
    logs
    map metrics
    program
    run
    scaling session stack status stream
    timeline tools top
    var
""".split()

VERBS = {
    "config": ["check", "explain", "show"],
    "program": ["delete", "get", "list", "store", "update"],
    "session": ["create", "end", "get", "list", "set", "stats"],
    "var": ["delete", "depend", "export", "get", "history", "import", "list", "lock",
            "register", "rollback", "set", "unlock", "watch"],
}


def test_version():
    for words in (["--version"], ["call", "--version"]):
        done = snakepit(*words)
        assert (done.code, done.out, done.err) == (0, "snakepit 0.1.0\n", "")


def test_help_lists_the_commands():
    for words in (["help"], ["--help"], ["-h"]):
        done = snakepit(*words)
        assert (done.code, done.err) == (0, "")
        listed = re.findall(r"^  (\w+) {2,}\S", done.out.split("Options")[0], re.M)
        assert listed == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_into_80_columns(command):
    helps = [["help", command], *([command, verb, "--help"] for verb in VERBS.get(command, ()))]
    for words in helps:
        wide = [line for line in snakepit(*words).lines if len(line) > 80]
        assert not wide, words


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_teaches_with_an_example(command):
    done = snakepit(command, "--help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"snakepit {command}")
    assert f"  snakepit {command}" in done.out or command == "completion"
    assert snakepit("help", command).out == done.out


def test_each_verb_is_explained():
    for command, verbs in VERBS.items():
        listed = snakepit(command, "--help").out.split("\n\n")[2]
        assert re.findall(r"^  ([a-z]+) ", listed, re.M) == verbs
        for verb in verbs:
            done = snakepit(command, verb, "--help")
            assert (done.code, done.err) == (0, "")
            assert done.out.startswith(f"snakepit {command} {verb}")
            assert f"  snakepit {command} {verb}" in done.out
            assert snakepit("help", command, verb).out == done.out


def test_examples_name_tools_and_arguments_that_exist():
    tools = {t["name"]: {p["name"] for p in t["parameters"]}
             for t in snakepit("tools", "-o", "json").json["tools"]}
    checked = 0
    for command in ("call", "stream", "run"):
        text = snakepit(command, "--help").out
        for words in re.findall(r"^  (?:snakepit )?(?:call|stream) (.*=.*)$", text, re.M):
            name, *rest = words.split()
            if name.startswith("-"):
                continue  # another adapter, or a function
            given = {w.split("=")[0] for w in rest if re.match(r"[a-z_]+=", w)}
            assert given <= tools[name], words
            checked += 1
    assert checked >= 5


def test_no_command_is_a_usage_error():
    done = snakepit()
    assert (done.code, done.out) == (2, "")
    assert "snakepit help" in done.err


@pytest.mark.parametrize("words, near", [
    (["cal"], "call"), (["steam"], "stream"), (["tolls"], "tools"),
    (["help", "doctr"], "doctor"), (["call", "x", "--sesion=1"], "--session"),
    (["help", "config", "shwo"], "show"),
    (["call", "x", "--timout", "1s"], "--timeout"), (["--confg", "x"], "--config"),
    (["config", "chek"], "check"), (["config", "show", "--changd"], "--changed"),
    (["explain", "SP-QUEUE-FUL"], "SP-QUEUE-FULL"), (["explain", "bakoff"], "backoff"),
])
def test_the_nearest_is_suggested(words, near):
    done = snakepit(*words)
    assert (done.code, done.out) in [(2, ""), (4, "")]
    assert re.search(rf'did you mean "?{near}', done.err)


@pytest.mark.parametrize("words", [
    ["call"], ["stream"], ["run"], ["status", "x"], ["tools", "a", "b"], ["doctor", "x"],
    ["call", "x", "--quiet=1"], ["call", "x", "--timeout"], ["--nope"], ["completion"],
    ["config"], ["config", "show", "x"], ["config", "check", "a", "b"],
    ["stream", "x", "--count", "0"], ["run", "x", "--parallel", "1000"],
])
def test_wrong_usage_is_exit_code_2(words):
    done = snakepit(*words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")


def test_usage_errors_are_json_too():
    done = snakepit("-o", "json", "cal")
    assert done.code == 2
    assert done.error["name"] == "SP-USAGE"


def test_every_code_and_word_is_explained():
    names = snakepit("explain", "-o", "json").json["names"]
    assert "SP-QUEUE-FULL" in names
    assert "backoff" in names
    for name in names:
        done = snakepit("explain", name)
        assert done.code == 0
        assert name in done.out
        assert len(done.out) > len(name) + 20
    assert snakepit("explain", "queue-full").out == snakepit("explain", "5").out
    found = snakepit("explain", "-o", "json", "queue-full").json["error"]
    assert (found["category"], found["retryable"]) == ("pool", True)
    assert {"hung", "worker.died", "snakepit_calls", "pools[].size", "ttl"} <= set(names)
    assert "setting" in snakepit("explain", "call_timeout").out
    assert snakepit("explain", "worker.crash").out == snakepit("explain", "worker.died").out
    for series, metric in (("snakepit_calls_total", "snakepit_calls"),
                           ("snakepit_call_duration_seconds_bucket",
                            "snakepit_call_duration_seconds")):
        assert snakepit("explain", series).out == snakepit("explain", metric).out
    assert snakepit("explain", "hung", "-o", "json").json["word"]["kind"] == "cause of death"


def test_a_word_with_several_meanings_has_all_where_people_read():
    bare = snakepit("explain", "guard").out
    assert bare.startswith("SP-GUARD: ")
    assert "\nguard (word)\n" in bare and "\nguard (cause of death)\n" in bare
    assert snakepit("explain", "guard", "-o", "table").out == bare
    assert snakepit("explain", "guard", "-o", "json").json["error"]["name"] == "SP-GUARD"


def test_every_state_of_a_worker_is_explained():
    names = snakepit("explain", "-o", "json").json["names"]
    assert {"starting", "ready", "busy", "draining", "stopping", "backoff"} <= set(names)


def test_each_error_has_the_exit_code_that_the_manual_gives_its_kind():
    names = [n for n in snakepit("explain", "-o", "json").json["names"]
             if n.startswith("SP-")]
    exits = {n: snakepit("explain", n, "-o", "json").json["error"]["exit"] for n in names}
    # What is left for 3, so that a new code gets its own.
    assert {n for n, code in exits.items() if code == 3} == {
        "SP-NOMEM", "SP-SYSTEM", "SP-CLOSED", "SP-NO-WORKER", "SP-START-FAILED",
        "SP-START-TIMEOUT", "SP-GUARD", "SP-BREAKER-OPEN", "SP-STORE", "SP-STORE-FULL"}
    assert exits["SP-SESSION-WORKER-LOST"] == exits["SP-WORKER-DIED"] == 7
    assert exits["SP-RECURSION"] == exits["SP-DEADLOCK"] == exits["SP-REFUSED"] == 5


def test_the_manual_has_every_command_and_option():
    page = (ROOT / "docs/man/snakepit.1.scd").read_text().replace("\\", "")
    for command in COMMANDS:
        assert f"*{command}" in page, command
        for verb in ["", *VERBS.get(command, [])]:
            text = snakepit("help", command, *verb.split()).out
            for option in re.findall(r"--([a-z-]+)", text):
                assert f"--{option}" in page, (command, verb, option)


def test_the_manual_has_every_event():
    """snakepit-events(7), which is made of the table, all; snakepit(7) some that exist."""
    library = ctypes.CDLL(BUILD / "libsnakepit.so")
    library.sp_event_name.restype = ctypes.c_char_p
    names = {library.sp_event_name(kind).decode() for kind in range(1000)} - {"unknown"}
    assert len(names) > 80
    whole = (BUILD / "docs/snakepit-events.7.scd").read_text().replace("\\_", "_")
    assert not {name for name in names if f"*{name}*" not in whole}
    page = (ROOT / "docs/man/snakepit.7.scd").read_text().replace("\\_", "_")
    section = page.split("# EVENTS\n")[1].split("\n# ")[0]
    told = set(re.findall(r"\*([a-z_.]+)\*", "".join(re.findall(r"^\*.*$", section, re.M))))
    assert len(told) > 20 and not told - names


def complete(*words):
    return snakepit("complete", "--", *words).lines


def test_completion_offers_what_can_follow(tmp_path):
    assert complete("st") == ["stack", "status", "stream"]
    assert complete("call", "--timeo") == ["--timeout="]
    assert complete("call", "add_no", "") == []
    assert "add" in complete("call", "")
    assert complete("call", "pin") == ["ping", "ping_stream"]
    assert complete("-o", "js") == ["json", "jsonl"]
    assert complete("--output=js") == ["--output=json", "--output=jsonl"]
    assert complete("config", "") == ["check", "explain", "show"]
    assert complete("config", "show", "--ch") == ["--changed"]
    assert complete("var", "un") == ["unlock"]
    assert complete("var", "set", "s", "--exp") == ["--expect-version="]
    assert complete("session", "create", "--durability", "") == ["memory", "crash", "durable"]
    assert complete("session", "--state") == ["--state-dir="]
    assert complete("var", "register", "s", "n", "fl") == ["float"]
    assert complete("var", "import", "s", "") == [":files"]
    assert complete("config", "explain", "queue") == ["queue.max", "queue_timeout"]
    assert complete("--set", "pool.call_t") == ["pool.call_timeout="]
    assert complete("--set=pool.call_t") == ["--set=pool.call_timeout="]
    assert complete("explain", "SP-QUEUE-F") == ["SP-QUEUE-FULL"]
    assert complete("run", "") == [":files"]
    assert complete("completion", "") == ["bash", "fish", "zsh"]
    (tmp_path / "snakepit.yaml").write_text("pools: [{name: one}, {name: other}]\n")
    done = snakepit("complete", "--", "call", "-p", "o", cwd=tmp_path)
    assert done.lines == ["one", "other"]


def test_bash_completes_with_the_script():
    script = f"""
        PATH={SNAKEPIT.parent}:$PATH
        source <(snakepit completion bash)
        try() {{
            COMP_LINE="$1" COMP_POINT=${{#1}} COMPREPLY=()
            compopt() {{ :; }}
            _snakepit
            printf '%s\\n' "${{COMPREPLY[*]}}"
        }}
        try 'snakepit st'
        try 'snakepit call pin'
        try 'snakepit call --timeo'
        try 'snakepit --output=ta'
        complete -p snakepit
    """
    done = subprocess.run(["bash", "--norc", "-c", script], env=environment("bash"),
                          capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["stack", "status", "stream"]
    assert lines[1].split() == ["ping", "ping_stream"]
    assert lines[2].split() == ["--timeout="]
    assert lines[3].split() == ["table"]
    assert lines[4] == "complete -F _snakepit snakepit"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_are_sound(shell, tmp_path):
    script = tmp_path / "script"
    script.write_text(snakepit("completion", shell).out)
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n", script], check=True, timeout=60)
