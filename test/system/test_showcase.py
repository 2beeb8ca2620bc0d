# SPDX-License-Identifier: MIT
"""The showcase: every demo finds what it says, without a terminal and in one."""

import os
import pty
import re
import subprocess
import uuid

import pytest

import cli_tool
import peers

SHOWCASE = peers.ROOT / "tools" / "showcase"
FACTS = {
    "basic": [
        r"5 \+ 3 is 8",
        r"SP-NO-TOOL, did it run\? no",
        r"SP-BAD-ARGS, did it run\? no",
        r"SP-REMOTE, did it run\? yes",
        r"SP-TIMEOUT, did it run\? unknown",
        "0 of 2 worker processes are left",
    ],
    "sessions": [
        "each session has its own",
        "ann stays with one worker",
        "it is SP-WORKER-DIED",
        "it is SP-SESSION-WORKER-LOST",
        "no session is left",
    ],
    "streaming": [
        r"\d+ chunks for \d+ files, in order",
        "their sum is 500500",
    ],
    "concurrent": [
        "both give the same keys, in the same order",
        "what was taken was answered, the rest refused at once",
    ],
    "variables": [
        "18 degrees do by night and not by day",
        "'warm' from the program: SP-BAD-VALUE",
        "back to 20 in version 2",
    ],
    "binary": [
        "512x512 comes back exact",
        "the picture has the size of the photograph",
    ],
    "ml": [
        r"\w+ is right in more than 95 of 100",
        r"[78] of 8 are right",
        "the nearest one is about warranty or liability",
        r"all vectors came as an array of \(\d+, 64\), \d+ bytes",
    ],
}


def environment(mark, **more):
    return cli_tool.environment(mark, BUILD=str(peers.BUILD), **more)


def run(*words, **more):
    """(status, output, errors), with nobody left behind."""
    mark = uuid.uuid4().hex
    done = peers.run("sh", SHOWCASE, *words, env=environment(mark, **more))
    assert cli_tool.marked(mark) == []
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("name", sorted(FACTS))
def test_a_demo_finds_what_it_says(name):
    status, out, errors = run(name)
    assert status == 0, out + errors
    assert "WRONG" not in out and "\033" not in out
    for fact in FACTS[name]:
        assert re.search(rf"^  ok: {fact}$", out, re.M), f"{fact!r} is not in\n{out}"
    assert max(map(len, out.splitlines())) <= 80
    assert out.splitlines()[-1] == "1 of 1 demos went well"


def test_the_list_names_seven():
    status, out, _ = run("--list")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == [
        "basic", "sessions", "streaming", "concurrent", "variables", "binary", "ml"]


def test_an_unknown_demo_is_refused():
    status, out, errors = run("nonsense")
    assert (status, out) == (2, "")
    assert errors == ("showcase: no demo 'nonsense': basic, sessions, streaming, "
                      "concurrent, variables, binary, ml or all\n")


def test_a_missing_package_is_named(tmp_path):
    """An interpreter without scikit-learn: -S, by way of a script of that name."""
    python = tmp_path / "python3"
    python.write_text(f'#!/bin/sh\nexec {peers.PYTHON} -S "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    status, out, errors = run("ml", SNAKEPIT_PYTHON=str(python))
    assert status == 1 and out.endswith("0 of 1 demos went well; not: ml\n")
    assert errors == ("showcase: ml needs python3-numpy python3-scipy python3-sklearn "
                      "python3-pil: tools/setup showcase\n")


def in_a_terminal(keys, **more):
    """What the menu prints when these lines are typed, and its status."""
    mark = uuid.uuid4().hex
    master, slave = pty.openpty()
    process = subprocess.Popen(
        ["sh", SHOWCASE], stdin=slave, stdout=slave, stderr=slave,
        env=environment(mark, TERM="xterm", **more), start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    seen = b""
    try:
        for key in keys:
            seen += read_until(master, b"Which one? ")
            os.write(master, key.encode() + b"\n")
        seen += read_until(master, None)
        status = process.wait(peers.DEADLINE_S)
    finally:
        os.close(master)
        peers.end(process)
    assert cli_tool.marked(mark) == []
    return status, seen.decode()


def read_until(master, text):
    """What comes up to and with this text; with None up to the end."""
    seen = b""
    while text is None or text not in seen:
        try:
            part = os.read(master, 4096)
        except OSError:  # the other side has closed
            part = b""
        if not part:
            assert text is None, seen.decode()
            break
        seen += part
    return seen


def test_the_menu_runs_demos_until_it_is_left():
    status, seen = in_a_terminal(["9", "1", "variables", "q"])
    assert status == 0
    assert "there is no '9'" in seen
    assert "1. Basic operations" in seen and "5. Variable management" in seen
    assert seen.count("1 of 1 demos went well") == 2
    assert "\033[32mok\033[0m: 5 + 3 is 8" in seen


def test_the_menu_has_no_colour_where_none_is_wanted():
    status, seen = in_a_terminal(["1", "q"], NO_COLOR="1")
    assert status == 0
    assert "ok: 5 + 3 is 8" in seen and "\033" not in seen
