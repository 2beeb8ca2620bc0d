# SPDX-License-Identifier: MIT
"""snakepit map: a line in, a line out, in order, without end and with failures."""

import json
import subprocess

import pytest
from cli_tool import DEADLINE, Started, snakepit, wait_until

ADAPTER = '''
import os, time
from snakepit_bridge import BaseAdapter, tool

class Adapter(BaseAdapter):
    @tool
    def double(self, number: int, plus: int = 0):
        return 2 * number + plus

    @tool
    def shout(self, text: str):
        return text.upper()

    @tool
    def nothing(self, text="nothing"):
        return text

    @tool
    def odd_fails(self, number: int):
        if number % 2:
            raise ValueError(f"{number} is odd")
        return number

    @tool
    def hold(self, path: str):
        open(path + ".held", "w").close()
        while True:
            time.sleep(0.01)
'''


@pytest.fixture
def here(tmp_path):
    (tmp_path / "a.py").write_text(ADAPTER)
    return tmp_path


def numbers(count):
    return "".join(f'{{"number": {n}}}\n' for n in range(count))


def mapped(here, *words, text):
    return snakepit("map", "-a", "a.py", *words, cwd=here, stdin=text)


def test_each_line_has_its_result_in_order(here):
    done = mapped(here, "double", "--size", "2", text=numbers(2000))
    assert (done.code, done.err) == (0, "")
    assert [int(line) for line in done.lines] == [2 * n for n in range(2000)]


def test_no_lines_are_no_results(here):
    done = mapped(here, "double", text="")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_the_last_line_needs_no_end_and_an_empty_one_has_no_arguments(here):
    done = mapped(here, "nothing", text='\n{"text": "last"}')
    assert (done.code, done.lines) == (0, ['"nothing"', '"last"'])


def test_a_line_can_be_the_text_of_an_argument(here):
    done = mapped(here, "shout", "--each", "text", text='one\n\n"two" ä\n')
    assert (done.code, done.lines) == (0, ['"ONE"', '""', '"\\"TWO\\" Ä"'])


def test_arguments_of_every_call(here):
    done = mapped(here, "double", "plus=1", text='{"number": 5}\n{"number": 6, "plus": 0}\n')
    assert (done.code, done.lines) == (0, ["11", "12"])


def test_arguments_of_every_call_need_names(here):
    done = mapped(here, "double", "[1]", text="{}\n")
    assert done.code == 2
    assert "need names" in done.err


def test_without_order_each_result_knows_its_line(here):
    done = mapped(here, "double", "-u", "-o", "jsonl", "--size", "2", text=numbers(500))
    assert done.code == 0
    found = {row["line"]: row["result"] for row in map(json.loads, done.lines)}
    assert found == {n + 1: 2 * n for n in range(500)}


def test_the_first_failure_ends_it_and_is_told_with_its_line(here):
    done = mapped(here, "odd_fails", "-j", "1", text=numbers(50))
    assert (done.code, done.lines) == (7, ["0"])
    assert "line 2" in done.err
    assert "1 is odd" in done.err


def test_it_goes_on_when_asked_to(here):
    done = mapped(here, "odd_fails", "-k", "-o", "jsonl", text=numbers(4))
    rows = [json.loads(line) for line in done.lines]
    assert done.code == 7
    assert [row["line"] for row in rows] == [1, 2, 3, 4]
    assert [row.get("result") for row in rows] == [0, None, 2, None]
    assert rows[1]["error"]["name"] == "SP-REMOTE"


@pytest.mark.parametrize("line", ["nonsense", "7", '{"number": 1', "\udcff"])
def test_what_is_no_arguments_is_told(here, line):
    text = (line + "\n").encode("utf-8", "surrogateescape")
    for words in (["double"], ["double", "plus=1"]):
        done = snakepit("map", "-a", "a.py", *words, cwd=here, stdin=text, binary=True)
        assert (done.code, done.out) == (2, b"")
        assert "line 1" in done.err


def test_a_result_leaves_before_the_next_line_comes(here):
    with Started("map", "-a", "a.py", "double", cwd=here, stdin=subprocess.PIPE) as started:
        for number in (1, 2, 3):
            started.send(f'{{"number": {number}}}\n')
            assert started.line() == f"{2 * number}\n"
        done = started.end()
        assert (done.code, done.out, done.err) == (0, "", "")


def test_an_interrupt_ends_it_while_calls_run_and_input_is_open(here):
    path = here / "call"
    with Started("map", "-a", "a.py", "hold", f"path={path}", cwd=here,
                 stdin=subprocess.PIPE) as started:  # fmt: skip
        started.send("{}\n")
        wait_until(lambda: (here / "call.held").exists(), "the call to run")
        started.signal()
        started.process.wait(DEADLINE)
        assert started.end().code == 130
