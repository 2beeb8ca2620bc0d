# SPDX-License-Identifier: MIT
"""Programs that read and write lines of JSON are workers: the protocol of
snakepit-stdio(1), with the examples and with programs that break it."""

import json
import os
import shutil

import pytest
from cli_tool import DEADLINE, PYTHON, ROOT, Started, snakepit, wait_until

EXAMPLES = ROOT / "examples" / "stdio"
# One that reads no more than a line of a pipe: worker.awk.
IS_MAWK = os.path.basename(os.path.realpath(shutil.which("awk") or "")) == "mawk"
AWK = ["awk", "-W", "interactive"] if IS_MAWK else ["awk"]
COMMANDS = {
    "bash": ["bash", "worker.sh"],
    "perl": ["perl", "worker.pl"],
    "lua": ["lua5.4", "worker.lua"],
    "awk": [*AWK, "-f", "worker.awk"],
}
NEEDS = {"bash": "jq", "lua": "lua5.4", "perl": "perl", "awk": "awk"}

# A worker that does what its tools are called, one line after the other.
WORKER = r'''
import json, os, signal, sys, time

def say(**answer):
    print(json.dumps(answer), flush=True)

def hold(path):
    open(path + ".held", "w").close()
    while not os.path.exists(path + ".go"):
        time.sleep(0.002)

for line in sys.stdin:
    call = json.loads(line)
    if "describe" in call:
        say(tools=["echo", "seen", "chatter", "garbage", "plain_error", "rich_error", "die",
                   "leave", "hold", "nothing", "wrong",
                   {"name": "count", "stream": True}, {"name": "one", "stream": True},
                   {"name": "later", "stream": True, "description": "Fails in the middle."},
                   {"name": "add", "description": "Add.", "idempotent": True,
                    "params": ["a", {"name": "b", "type": "int", "default": 1,
                                     "description": "what to add"}]}])
        continue
    id, tool, args = call["id"], call["tool"], call["args"]
    if tool == "echo":
        say(id=id, result=args.get("value"))
    elif tool == "seen":
        say(id=id, result=sorted(call))
    elif tool == "add":
        say(id=id, result=args["a"] + args.get("b", 1))
    elif tool == "chatter":
        print("this is no answer", flush=True)
        print("[1, 2]", flush=True)
        say(note="nor is this")
        say(result="the answer")
    elif tool == "garbage":
        print('{"id":', flush=True)
        say(id=id, result="after it")
    elif tool == "plain_error":
        say(id=id, error="it failed")
    elif tool == "rich_error":
        say(id=id, error={"type": "MyError", "message": "it failed", "trace": "line 1",
                          "details": {"kind": "odd", "causes": []}})
    elif tool == "die":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif tool == "leave":
        print("good bye", file=sys.stderr)
        sys.exit(7)
    elif tool == "hold":
        hold(args["path"])
        say(id=id, result=os.getpid())
    elif tool == "nothing":
        say(id=id, end=True)
    elif tool == "wrong":
        say(id=id, tools=[])
    elif tool == "count":
        for number in range(args["to"]):
            say(id=id, chunk={"number": number, "padding": "x" * args.get("padding", 0)})
        say(id=id, end=True)
    elif tool == "one":
        say(id=id, result="only")
    elif tool == "later":
        say(id=id, chunk=1)
        say(id=id, error="enough")
'''


@pytest.fixture
def here(tmp_path):
    (tmp_path / "worker.py").write_text(WORKER)
    configure(tmp_path, [PYTHON, "worker.py"])
    return tmp_path


def configure(folder, command, **more):
    pool = {"runtime": "stdio", "command": command, "size": 1, **more}
    (folder / "snakepit.yaml").write_text(json.dumps({"pools": [pool]}))


def call(here, *words):
    return snakepit("call", *words, cwd=here)


@pytest.fixture(params=sorted(COMMANDS))
def example(request, tmp_path):
    if shutil.which(NEEDS[request.param]) is None:
        pytest.skip(f"{NEEDS[request.param]} is not installed")
    for file in EXAMPLES.iterdir():
        shutil.copy(file, tmp_path)
    configure(tmp_path, COMMANDS[request.param])
    return tmp_path


def test_every_example_adds(example):
    done = call(example, "add", "a=2", "b=3")
    assert (done.code, done.err) == (0, "")
    assert float(done.out) == 5


def test_every_example_answers_many_calls_in_order(example):
    lines = "".join(f'{{"a": {n}, "b": 1}}\n' for n in range(100))
    done = snakepit("map", "add", cwd=example, stdin=lines)
    assert (done.code, done.err) == (0, "")
    assert [float(line) for line in done.lines] == [n + 1 for n in range(100)]


def test_every_example_refuses_an_unknown_tool(example):
    done = call(example, "subtract", "a=2")
    assert done.code == 4
    assert "SP-NO-TOOL" in done.err


@pytest.mark.parametrize("value", [
    "null", "true", "-1", "1.5", '""', "[]", "{}", '"\\u00e4\\n\\"quoted\\" \\u0000"',
    '[[1,{"a":[]}],2]', "123456789012345678901234567890",
])  # fmt: skip
def test_values_come_back_as_they_went(here, value):
    done = call(here, "echo", f'{{"value":\n {value}}}')
    assert done.code == 0
    assert json.loads(done.out) == json.loads(value)


def test_a_large_value_goes_through_two_full_pipes(here):
    text = json.dumps({"value": "x" * 3_000_000})
    done = snakepit("map", "echo", cwd=here, stdin=text + "\n")
    assert (done.code, len(done.out)) == (0, 3_000_003)


def test_the_program_sees_session_time_and_stream(here):
    assert call(here, "seen").json == ["args", "id", "timeout_ms", "tool"]
    assert call(here, "seen", "-s", "s1", "-t", "never").json == ["args", "id", "session", "tool"]


def test_tools_are_listed_as_described(here):
    tools = {tool["name"]: tool for tool in snakepit("tools", "-o", "json", cwd=here).json["tools"]}
    assert tools["add"]["description"] == "Add."
    assert tools["add"]["idempotent"]
    assert [p["name"] for p in tools["add"]["parameters"]] == ["a", "b"]
    assert tools["count"]["streaming"]
    assert not tools["echo"]["streaming"]


def test_what_is_no_answer_is_shown_as_output(here):
    done = call(here, "chatter")
    assert (done.code, done.json) == (0, "the answer")
    assert "this is no answer" in done.err
    assert '{"note": "nor is this"}' in done.err
    done = call(here, "garbage")
    assert (done.code, done.json) == (0, "after it")


def test_errors_keep_what_the_program_says(here):
    done = call(here, "plain_error", "-o", "json")
    assert (done.code, done.error["name"]) == (7, "SP-REMOTE")
    assert done.error["remote_message"] == "it failed"
    done = call(here, "rich_error", "-o", "json")
    assert done.error["remote_type"] == "MyError"
    assert done.error["remote_trace"] == "line 1"
    assert done.error["remote_details"] == {"kind": "odd", "causes": []}


@pytest.mark.parametrize("tool", ["nothing", "wrong"])
def test_an_answer_of_the_wrong_kind_fails_its_call_only(here, tool):
    done = snakepit("run", "-", "-k", cwd=here, stdin=f"{tool}\necho value=1\n")
    assert (done.code, done.lines) == (7, ["1"])
    assert "SP-PROTOCOL" in done.err


def test_a_stream_comes_chunk_by_chunk_and_may_be_one_or_fail(here):
    done = snakepit("stream", "count", "to=1000", cwd=here)
    assert done.code == 0
    assert [json.loads(line)["number"] for line in done.lines] == list(range(1000))
    assert snakepit("stream", "one", cwd=here).lines == ['"only"']
    done = snakepit("stream", "later", cwd=here)
    assert (done.code, done.lines) == (7, ["1"])
    assert "enough" in done.err


def test_a_stream_is_left_early_and_the_worker_goes_on(here):
    script = "stream count to=300 padding=20000\necho value=1\n"
    done = snakepit("stream", "count", "to=100", "padding=100000", "-n", "2", cwd=here)
    assert (done.code, len(done.lines)) == (0, 2)
    done = snakepit("run", "-", cwd=here, stdin=script)
    assert (done.code, len(done.lines)) == (0, 301)


def test_the_end_of_the_program_is_the_workers(here):
    done = call(here, "die", "-o", "json")
    assert done.error["name"] == "SP-WORKER-DIED"
    assert done.error["worker_signal"] == 11
    done = call(here, "leave", "-o", "json")
    assert done.error["worker_exit"] == 7
    assert "good bye" in done.error["worker_stderr"]


def test_a_program_that_is_cancelled_and_goes_on_is_replaced(here):
    configure(here, [PYTHON, "worker.py"], cancel_grace="50ms")
    path = here / "call"
    with Started("call", "hold", f"path={path}", cwd=here) as started:
        wait_until(lambda: (here / "call.held").exists(), "the call to run")
        started.signal()
        started.process.wait(DEADLINE)
        assert started.end().code == 130


CANCELLABLE = r'''
import json, sys

def say(**answer):
    print(json.dumps(answer), flush=True)

while line := sys.stdin.readline():
    call = json.loads(line)
    if "describe" in call:
        say(tools=["wait", "last"], cancel=True)
    elif call.get("tool") == "wait":
        open(call["args"]["path"], "w").close()
        cancel = json.loads(sys.stdin.readline())
        assert cancel == {"cancel": call["id"]}
        say(id=call["id"], error="cancelled")
        open(call["args"]["path"] + ".told", "w").close()
'''


def test_a_program_that_wants_to_know_is_told_of_a_cancellation(tmp_path):
    (tmp_path / "worker.py").write_text(CANCELLABLE)
    configure(tmp_path, [PYTHON, "worker.py"], cancel_grace="1m")
    path = tmp_path / "call"
    with Started("call", "wait", f"path={path}", cwd=tmp_path) as started:
        wait_until(path.exists, "the call to run")
        started.signal()
        started.process.wait(DEADLINE)
        assert started.end().code == 130
    assert (tmp_path / "call.told").exists()


def test_a_program_without_a_list_of_tools_takes_any_name(tmp_path):
    (tmp_path / "worker.py").write_text(
        "import json, sys\n"
        "for line in sys.stdin:\n"
        "    print(json.dumps({'result': json.loads(line).get('tool')}), flush=True)\n")
    configure(tmp_path, [PYTHON, "worker.py"])
    assert call(tmp_path, "whatever").json == "whatever"


@pytest.mark.parametrize("program, said", [
    ("import sys; sys.exit(3)", "status 3"),
    ("print('{\"tools\": 7}', flush=True); input(); input()", "no array"),
    ("print('{\"tools\": [{}]}', flush=True); input(); input()", "without a \"name\""),
    ("print('{\"tools\": [\"a\", \"a\"]}', flush=True); input(); input()", "a"),
])  # fmt: skip
def test_a_program_that_cannot_start_says_why(tmp_path, program, said):
    (tmp_path / "worker.py").write_text(program)
    configure(tmp_path, [PYTHON, "worker.py"], startup_timeout="20s")
    done = call(tmp_path, "add")
    assert done.code == 3
    assert said in done.err


def test_a_program_that_does_not_exist_is_named(tmp_path):
    configure(tmp_path, ["no-such-program"])
    done = call(tmp_path, "add")
    assert done.code == 4
    assert "no-such-program" in done.err


