# SPDX-License-Identifier: MIT
"""snakepit call: arguments in, one line of JSON out, errors with code and exit code."""

import json
import os
import re
import signal
import subprocess

import daemons
import pytest
from cli_tool import ROOT, SNAKEPIT, Started, environment, nobody_left, snakepit, wait_until

ADAPTER = '''
import os, sys, time
from snakepit_bridge import BaseAdapter, tool

class Adapter(BaseAdapter):
    def __init__(self):
        super().__init__()
        self.seen = []

    @tool
    def show(self, **values):
        return values

    @tool
    def kind(self, value=None):
        return f"{type(value).__name__}:{value!r}"

    @tool
    def talk(self):
        print("from the worker")
        print("and once more", file=sys.stderr)
        return "done"

    @tool
    def hang(self, path: str):
        open(path, "w").close()
        try:
            for _ in range(6000):
                time.sleep(0.01)
        finally:
            open(path + ".ended", "w").close()

    @tool
    def die(self, status: int):
        os._exit(status)

    @tool
    def fail(self, text: str):
        raise LookupError(text)

    @tool
    def pretty(self):
        return {"text": "two\\nlines", "list": [1, 2]}
'''


@pytest.fixture
def here(tmp_path):
    (tmp_path / "a.py").write_text(ADAPTER)
    return tmp_path


def test_result_is_one_line_of_json_and_nothing_else():
    done = snakepit("call", "add", "a=5", "b=3")
    assert (done.code, done.out, done.err) == (0, '{"result":8}\n', "")


@pytest.mark.parametrize("words, expected", [
    (["value=5"], "int:5"),
    (["value=-1.5"], "float:-1.5"),
    (["value=true"], "bool:True"),
    (["value=null"], "NoneType:None"),
    (["value=hello"], "str:'hello'"),
    (["value="], "str:''"),
    (['value="5"'], "str:'5'"),
    (["value=05"], "str:'05'"),
    (["value=[1, 2"], "str:'[1, 2'"),
    (["value=[1, 2]"], "list:[1, 2]"),
    (['value={"a": null}'], "dict:{'a': None}"),
    (["value=a=b"], "str:'a=b'"),
    (["value:=7"], "int:7"),
    (['value:="7"'], "str:'7'"),
    (["value=é ü"], "str:'é ü'"),
    (["value=1234567890123456789012345678901234567890"],
     "int:1234567890123456789012345678901234567890"),
    (['{"value": [true]}'], "list:[True]"),
    (["[9]"], "int:9"),
    ([], "NoneType:None"),
])
def test_arguments_have_these_forms(here, words, expected):
    done = snakepit("call", "-a", "a.py", "kind", *words, cwd=here)
    assert done.err == ""
    assert (done.code, done.json) == (0, expected)


def test_arguments_come_from_files_and_standard_input(here):
    (here / "text").write_text("5")
    (here / "json").write_text('{"value": {"deep": [1]}}')
    for words, stdin, expected in [
            (["value=@text"], None, "str:'5'"),
            (["value:=@text"], None, "int:5"),
            (["@json"], None, "dict:{'deep': [1]}"),
            (["-"], '{"value": 3}', "int:3"),
            (["value=@-"], "in", "str:'in'")]:
        done = snakepit("call", "-a", "a.py", "kind", *words, cwd=here, stdin=stdin)
        assert (done.code, done.json) == (0, expected), done.err


@pytest.mark.parametrize("words, code, text", [
    (["value:=x"], 2, "argument value: not valid JSON: x"),
    (["5"], 2, "argument 5 has no name"),
    (["what"], 2, 'argument "what" is neither name=value nor a JSON object or array'),
    (["=5"], 2, "neither name=value"),
    (["value=1", "value=2"], 2, "argument value stands twice"),
    (['{"a": 1}', "b=2"], 2, "nothing may follow"),
    (["value=@missing"], 4, "missing: No such file or directory"),
    (["@missing"], 4, "missing: No such file or directory"),
    (["{"], 2, "error SP-BAD-JSON"),
    (["[" * 1000 + "]" * 1000], 2, "error SP-TOO-DEEP"),
])
def test_malformed_arguments_are_usage_errors(here, words, code, text):
    done = snakepit("call", "-a", "a.py", "kind", *words, cwd=here)
    assert (done.code, done.out) == (code, "")
    assert text in done.err


def test_any_importable_function_can_be_called():
    done = snakepit("call", "-m", "statistics.fmean", "[[1, 2, 3]]")
    assert (done.code, done.json) == (0, 2.0)
    done = snakepit("call", "-m", "json.dumps", "obj=x", "indent=null")
    assert (done.code, done.json) == (0, '"x"')


def test_text_output_is_for_people(here):
    done = snakepit("call", "-o", "text", "-a", "a.py", "talk", "-q", cwd=here)
    assert done.out == "done\n"
    done = snakepit("call", "-o", "text", "-a", "a.py", "pretty", cwd=here)
    assert done.out == json.dumps({"text": "two\nlines", "list": [1, 2]}, indent=2) + "\n"


def test_an_affinity_is_one_of_four():
    done = snakepit("call", "ping", "--session", "u-42", "--affinity", "strict_queue")
    assert done.code == 0
    done = snakepit("call", "ping", "--session", "u-42", "--affinity", "strict_quene")
    assert done.code == 2
    assert "did you mean strict_queue" in done.err


def test_session_reaches_the_tool():
    done = snakepit("call", "set_counter", "value=3", "--session", "u-42")
    assert done.code == 0, done.err


def test_a_result_without_bytes_is_a_finding():
    done = snakepit("call", "ping", "--binary")
    assert done.code == 1
    assert "has no binary part" in done.err


def test_what_the_worker_prints_is_talk(here):
    done = snakepit("call", "-a", "a.py", "talk", cwd=here)
    assert done.out == '"done"\n'
    assert "[default/0] from the worker\n" in done.err
    assert "[default/0] and once more\n" in done.err
    assert snakepit("call", "-q", "-a", "a.py", "talk", cwd=here).err == ""


@pytest.mark.parametrize("words, code, name, text", [
    (["nope"], 4, "SP-NO-TOOL", "nope"),
    (["showw"], 4, "SP-NO-TOOL", "show"),
    (["kind", "wrong=1"], 2, "SP-BAD-ARGS", "wrong"),
    (["fail", "text=gone"], 7, "SP-REMOTE", "LookupError: gone"),
    (["die", "status=3"], 7, "SP-WORKER-DIED", "exited with status 3"),
    (["hang", "path=/dev/null", "-t", "200ms"], 6, "SP-TIMEOUT", ""),
])
def test_every_failure_has_its_name_and_exit_code(here, words, code, name, text):
    options = ["--set", "pool.cancel_grace=100ms"]
    done = snakepit("call", "-a", "a.py", *words, *options, cwd=here)
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith(f"error {name}: ") or f"\nerror {name}: " in done.err
    assert text in done.err
    assert "\n  try " in done.err

    done = snakepit("call", "-o", "json", "-q", "-a", "a.py", *words, *options, cwd=here)
    assert (done.code, done.out) == (code, "")
    assert done.error["name"] == name
    assert done.error["exit"] == code
    assert text in done.error["message"]


def test_a_remote_error_has_type_and_traceback(here):
    done = snakepit("call", "-o", "json", "-a", "a.py", "fail", "text=gone", cwd=here)
    assert done.error["remote_type"] == "LookupError"
    assert "raise LookupError(text)" in done.error["remote_trace"]
    assert done.error["executed"] == "yes"


@pytest.mark.parametrize("options, code, text", [
    (["-a", "missing.py"], 4, "missing.py: No such file or directory"),
    (["-a", "no.such:Thing"], 3, "No module named 'no'"),
    (["-a", "a.py:Nobody"], 3, "Nobody"),
    (["--python", "/nonexistent/python"], 4, "/nonexistent/python"),
    (["--python", "/bin/false"], 3, "exited with status 1"),
    (["-p", "defaultt"], 4, 'SP-NO-POOL: no pool "defaultt"; did you mean "default"?'),
    (["--config", "missing.yaml"], 4, "missing.yaml: No such file or directory"),
    (["--set", "pool.sizee=1"], 2, 'did you mean "size"?'),
    (["--set", "nothing"], 2, "expected KEY=VALUE"),
    (["--size", "0"], 2, "expected a number from 1 to 1000"),
    (["--timeout", "5"], 2, "--timeout: 5 has no unit; write 5s, 5ms, 5m or 5h"),
    (["-o", "jsn"], 2, "did you mean json"),
])
def test_what_cannot_start_says_why(here, options, code, text):
    done = snakepit("call", "kind", *options, cwd=here)
    assert (done.code, done.out) == (code, "")
    assert text in done.err


def test_a_worker_that_never_gets_ready_ends_in_time(here):
    (here / "slow.py").write_text("import time\ntime.sleep(600)\n")
    done = snakepit("call", "-a", "slow.py", "x", "--set", "pool.startup_timeout=300ms",
                    cwd=here)
    assert done.code == 6
    assert "error SP-NOT-READY: 0 of 1 workers ready after" in done.err


def test_configured_pools_can_be_chosen(here):
    (here / "snakepit.yaml").write_text(
        "pools:\n- {name: one, adapter: a.py}\n- {name: two, adapter: showcase}\n")
    assert snakepit("call", "kind", "value=1", cwd=here).json == "int:1"
    assert snakepit("call", "-p", "two", "add", "a=1", "b=2", cwd=here).json == {"result": 3}
    # The file's relative path counts from the file.
    done = snakepit("--config", here / "snakepit.yaml", "call", "kind")
    assert (done.code, done.json) == (0, "NoneType:None")


def test_only_the_pool_in_use_starts(here):
    (here / "snakepit.yaml").write_text(
        "pools:\n- {name: one, adapter: a.py, size: 8}\n"
        "- {name: broken, adapter: no.such:Thing}\n")
    done = snakepit("call", "-v", "kind", cwd=here)
    assert done.code == 0
    assert done.err.count("worker.ready") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_cancels_the_call_and_closes_the_pit(here, number):
    flag = here / "started"
    with Started("call", "-a", "a.py", "hang", f"path={flag}", cwd=here) as started:
        wait_until(flag.exists, "the call to run")
        started.signal(number)
        done = started.end()
    assert (done.code, done.out) == (130, "")
    assert "interrupted" in done.err
    assert (here / "started.ended").exists(), "the tool's finally did not run"


def test_an_interrupt_ends_a_start_that_hangs(here):
    flag = here / "started"
    (here / "slow.py").write_text(
        f"import time\nopen({str(flag)!r}, 'w').close()\ntime.sleep(600)\n")
    with Started("call", "-a", "slow.py", "x", cwd=here) as started:
        wait_until(flag.exists, "the worker to start")
        started.signal()
        assert started.end().code == 130


def test_nothing_outlives_a_killed_command(here):
    flag = here / "started"
    with Started("call", "-a", "a.py", "hang", f"path={flag}", cwd=here) as started:
        wait_until(flag.exists, "the call to run")
        started.signal(signal.SIGKILL)
        assert started.end().code == -signal.SIGKILL


def test_a_closed_reader_is_no_error():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as broken:
        process = subprocess.run([SNAKEPIT, "call", "ping"], stdout=broken, cwd="/",
                                 stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                 env=environment("closed"), check=False)
    nobody_left("closed")
    assert (process.returncode, process.stderr) == (141, b"")


def test_what_takes_the_rest_takes_it(tmp_path):
    (tmp_path / "rest.py").write_text(
        "from snakepit_bridge import BaseAdapter, tool\n\n\n"
        "class Rest(BaseAdapter):\n"
        "    @tool(description='named')\n"
        "    def named(self, a: int, **rest):\n"
        "        return {'a': a, **rest}\n\n"
        "    @tool(description='listed')\n"
        "    def listed(self, *values):\n"
        "        return list(values)\n"
    )
    call = ("-a", f"{tmp_path}/rest.py:Rest", "call")
    assert snakepit(*call, "named", "a=1", "b=2").json == {"a": 1, "b": 2}
    assert snakepit(*call, "listed", "[1,2,3]").json == [1, 2, 3]
    done = snakepit(*call, "named", "b=2")
    assert done.code != 0 and 'argument "a" is missing' in done.err


def test_a_call_is_made_in_the_span_of_the_environment():
    worker = ROOT / "test/system/conformance/worker.py"
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    done = snakepit("call", "-a", f"{worker}:Conformance", "metadata",
                    env={"TRACEPARENT": f"00-{trace}-00f067aa0ba902b7-01"})
    assert done.code == 0, done.err
    assert done.json["traceparent"].split("-")[1] == trace


def test_an_adapter_takes_the_place_of_one_in_another_language(tmp_path):
    (tmp_path / "snakepit.yaml").write_text("pools: [{adapter: sums.rb, size: 1}]\n")
    (tmp_path / "words.py").write_text("def count(text):\n    return len(text.split())\n")
    done = snakepit("call", "-a", "words.py", "count", "text=to be", cwd=tmp_path)
    assert (done.code, done.out) == (0, "2\n")
    (tmp_path / "snakepit.yaml").write_text("pools: [{runtime: exec, command: [cat]}]\n")
    done = snakepit("call", "-a", "words.py", "count", "text=to be", cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "runs exec" in done.err


# --- of a daemon -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    place = tmp_path_factory.mktemp("called")
    (place / "a.py").write_text(ADAPTER)
    with daemons.running(place, adapter=f"{place}/a.py:Adapter", more=[
            {"name": "other", "adapter": "showcase", "size": 1}]) as running:
        yield running


def call_at(daemon, *words, verb="call", **more):
    return snakepit(verb, *words, "--connect", daemon.address, **more)


def test_a_daemon_runs_the_call(daemon, tmp_path):
    done = call_at(daemon, "show", "a=5", "b=two")
    assert (done.code, done.out, done.err) == (0, '{"a":5,"b":"two"}\n', "")
    done = snakepit("call", "show", "a=5", env={"SNAKEPIT_ADDRESS": daemon.address})
    assert (done.code, done.out) == (0, '{"a":5}\n')
    done = call_at(daemon, "add", "a=1", "b=2", "-p", "other")
    assert (done.code, done.out) == (0, '{"result":3}\n')
    assert call_at(daemon, "pretty").out == '{"text":"two\\nlines","list":[1,2]}\n'
    assert call_at(daemon, "kind", "-o", "text").out == "NoneType:None\n"
    by_pit = snakepit("call", "ping", "-a", "showcase", env={"SNAKEPIT_ADDRESS": daemon.address})
    assert by_pit.code == 0  # a pit was asked for


@pytest.mark.parametrize("words, code, said", [
    (["fail", "text=why"], 7, "LookupError: why"),
    (["die", "status=3"], 7, "exited with status 3"),
    (["nothing"], 4, "nothing"),
    (["show", "-p", "nowhere"], 4, "nowhere"),
    # Either side may be the first to say so.
    (["hang", "path=/dev/null", "-t", "200ms"], 6,
     '"name":"SP-TIMEOUT","message":"(?:[^"\\\\]|\\\\.)*(deadline|did not end within 200 ms)'),
    (["show", "-a", "a.py"], 2, "are for a pit that is started"),
])
def test_what_goes_wrong_at_a_daemon_is_told_as_at_home(daemon, words, code, said):
    done = call_at(daemon, *words, "-o", "json")
    assert (done.code, done.out) == (code, "")
    assert re.search(said, done.err)


def test_a_stream_of_a_daemon(daemon):
    done = call_at(daemon, "ping_stream", "count=3", "-p", "other", verb="stream")
    assert (done.code, done.err) == (0, "") and len(done.lines) == 3
    assert all(isinstance(json.loads(line), (dict, str)) for line in done.lines)
    done = call_at(daemon, "ping_stream", "count=1000000", "-p", "other", "-n", "2", verb="stream")
    assert done.code == 0 and len(done.lines) == 2


def test_interrupted_it_cancels_the_call_of_the_daemon(daemon, tmp_path):
    with Started("call", "hang", f"path={tmp_path}/x", "--connect", daemon.address) as command:
        wait_until((tmp_path / "x").exists, "the call to run")
        command.signal()
        done = command.end()
    assert done.code == 130 and "interrupted" in done.err
    wait_until((tmp_path / "x.ended").exists, "the end of the call")


def test_a_daemon_that_is_not_there(tmp_path):
    done = snakepit("call", "show", "--connect", f"unix:{tmp_path}/none")
    assert (done.code, done.out) == (3, "")
    done = snakepit("call", "show", "--instance", "nobody-has-it")
    assert done.code == 3 and "no daemon runs here" in done.err
