# SPDX-License-Identifier: MIT
"""--tool NAME=COMMAND: commands of the shell as tools that workers call."""

import json
import os

import pytest

import cli_tool

NESTS = cli_tool.BUILD / "test/system/nests"


@pytest.fixture
def snakepit(tmp_path):
    """Run a command with a pool of workers that pass calls on."""
    config = tmp_path / "snakepit.yaml"
    config.write_text(
        "pools:\n"
        "  - name: nests\n"
        "    runtime: exec\n"
        f"    command: [{NESTS}]\n"
        "    size: 3\n"
        "    queue_timeout: 1m\n"
    )

    def run(*words, **more):
        return cli_tool.snakepit("--config", str(config), *words, **more)

    return run


def passing(tool, arguments="{}"):
    """The arguments of `pass`, in the form in which the worker reads them."""
    return '{"tool":"%s","pool":"host","args":%s}' % (tool, arguments)


def test_a_command_gets_arguments_and_gives_a_result(snakepit):
    done = snakepit("call", "--tool", "twice=sed 's/.*/[&,&]/'", "pass",
                    passing("twice", '{"x":1}'))
    assert done.code == 0, done.err
    assert json.loads(done.out) == [{"x": 1}, {"x": 1}]


def test_no_output_is_null_and_what_is_no_json_is_told(snakepit):
    done = snakepit("call", "--tool", "quiet=cat >/dev/null", "pass", passing("quiet"))
    assert (done.code, done.out.strip()) == (0, "null")
    done = snakepit("call", "--tool", "loud=echo hello", "pass", passing("loud"))
    assert done.code != 0
    assert "the result of host tool loud" in done.err


def test_a_status_is_a_failure_with_the_last_line(snakepit):
    done = snakepit("call", "--tool", "sad=echo one >&2; echo two >&2; exit 3", "pass",
                    passing("sad"))
    assert done.code == 7, done.err
    assert "sad: one" in done.err
    assert "sad ended with status 3: two" in done.err
    done = snakepit("call", "--tool", "hit=kill -9 $$", "pass", passing("hit"))
    assert "hit was ended by signal 9" in done.err


def test_the_time_of_the_call_is_the_commands(snakepit, tmp_path):
    pid = tmp_path / "pid"
    done = snakepit("call", "-t", "500ms", "--tool",
                    f"slow=echo $$ >{pid}; sleep 1000 & sleep 1000", "pass",
                    passing("slow"))
    assert done.code == 6, done.err
    # Its whole group is gone: cli_tool.run() has looked for anybody left.
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_what_a_command_leaves_behind_ends_with_it(snakepit):
    done = snakepit("call", "--tool", "leaves=sleep 1000 & echo 1", "pass",
                    passing("leaves"))
    assert (done.code, done.out.strip()) == (0, "1")


def test_a_large_argument_and_a_large_result(snakepit):
    done = snakepit("call", "--tool", "size=wc -c | tr -d ' '", "pass",
                    passing("size", '{"x":"%s"}' % ("y" * 900)))
    assert int(done.out) == 900 + len('{"x":""}') + 1
    done = snakepit("call", "--tool", "much=printf '\"'; head -c 3000000 /dev/zero | "
                    "tr '\\0' z; printf '\"'", "pass", passing("much"))
    assert done.code == 0, done.err
    assert len(done.out.strip()) == 3000002
    done = snakepit("call", "--tool", "more=yes", "pass", passing("more"))
    assert "more writes more bytes than may be" in done.err


def test_lines_of_a_script_call_at_once(snakepit, tmp_path):
    script = tmp_path / "script"
    line = "pass '%s'\n" % passing("next")
    script.write_text(line * 30)
    done = snakepit("run", "-j", "3", "--tool", "next=echo $$", str(script))
    assert done.code == 0, done.err
    pids = done.out.split()
    assert len(pids) == 30 and len(set(pids)) == 30


def test_an_interrupt_ends_the_command_too(tmp_path, snakepit):
    config = tmp_path / "snakepit.yaml"
    started_file = tmp_path / "started"
    with cli_tool.Started("--config", str(config), "call", "--tool",
                          f"slow=touch {started_file}; sleep 1000", "pass",
                          passing("slow")) as started:
        cli_tool.wait_until(started_file.exists, "the command to run")
        started.signal()
        assert started.end().code == 130  # and nobody is left: end() looks


def test_a_slip_on_the_command_line_is_told(snakepit):
    for text in ("name", "=x", "name="):
        done = snakepit("call", "--tool", text, "echo")
        assert done.code == 2
        assert "--tool: expected NAME=COMMAND" in done.err
    done = snakepit("call", "--tool", "a b=true", "echo")
    assert "wrong character at 1" in done.err
    done = snakepit("call", "--tool", "a=true", "--tool", "a=false", "echo")
    assert 'there is a tool "a" already' in done.err
