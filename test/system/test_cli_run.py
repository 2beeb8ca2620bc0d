# SPDX-License-Identifier: MIT
"""snakepit run: a file of calls on one pit, ready before the first and gone after."""

import json

import pytest
from cli_tool import Started, on_terminal, snakepit

ADAPTER = '''
import os, time
from snakepit_bridge import BaseAdapter, tool

class Adapter(BaseAdapter):
    def __init__(self):
        super().__init__()
        self.calls = 0

    @tool
    def echo(self, value=None, delay: float = 0.0):
        time.sleep(delay)
        return value

    @tool
    def pid(self):
        self.calls += 1
        return [os.getpid(), self.calls]

    @tool
    def count(self, to: int, delay: float = 0.0):
        for number in range(to):
            yield number
            time.sleep(delay)

    @tool
    def fail(self):
        raise ValueError("no")

    @tool
    def meet(self, folder: str, name: str, of: int):
        open(f"{folder}/{name}", "w").close()
        while len(os.listdir(folder)) < of:
            time.sleep(0.005)
        return name

    @tool
    def touch(self, path: str):
        open(path, "w").close()
'''


@pytest.fixture
def here(tmp_path):
    (tmp_path / "a.py").write_text(ADAPTER)
    (tmp_path / "snakepit.yaml").write_text("pools: [{adapter: a.py, size: 2}]\n")
    return tmp_path


def run(here, script, *words):
    (here / "script").write_text(script)
    return snakepit("run", "script", *words, cwd=here)


def test_every_line_is_a_call_and_gives_a_line(here):
    done = run(here, """\
        # a comment, then an empty line

        echo value=5
        call echo value="two words"   # behind it
        echo {"value": {"no": "quotes needed"}}
        echo value='"5"'
        stream count to=3
        echo [7]
        """)
    assert (done.code, done.err) == (0, "")
    assert [json.loads(line) for line in done.lines] == [
        5, "two words", {"no": "quotes needed"}, "5", 0, 1, 2, 7]


def test_lines_share_the_workers(here):
    done = run(here, "pid\n" * 8, "--size", "1")
    assert len({json.loads(line)[0] for line in done.lines}) == 1
    assert [json.loads(line)[1] for line in done.lines] == list(range(1, 9))


def test_lines_have_options_of_their_own(here):
    done = run(here, "echo value=1 delay=30 --timeout 200ms\n")
    assert done.code == 6
    assert "error SP-TIMEOUT: script:1: " in done.err
    done = run(here, "echo value=1 --pool other\n")
    assert done.code == 4
    assert "SP-NO-POOL" in done.err


def test_the_first_failure_ends_the_run_and_gives_the_code(here):
    done = run(here, "echo value=1\nfail\nnope\necho value=2\n")
    assert (done.code, done.out) == (7, "1\n")
    assert "error SP-REMOTE: script:2: ValueError: no" in done.err
    assert "script:3" not in done.err


def test_keep_going_runs_the_rest(here):
    done = run(here, "echo value=1\nfail\nnope\necho value=2\n", "--keep-going")
    assert (done.code, done.out) == (7, "1\n2\n")
    assert "script:2" in done.err
    assert "script:3" in done.err


@pytest.mark.parametrize("line, text", [
    ('echo "open', "script:2: a quote is not closed"),
    ("echo what", 'script:2: argument "what" is neither'),
    ("echo a:=x", "script:2: argument a: not valid JSON"),
    ("--timeout 5s", "script:2: a line without a tool"),
    ("echo --nope", "script:2: unknown option --nope"),
    ("echo a=@missing", "script:2: missing: No such file"),
])
def test_a_slip_is_found_before_anything_runs(here, line, text):
    flag = here / "ran"
    done = run(here, f"touch path={flag}\n{line}\n")
    assert done.code in (2, 4)
    assert text in done.err
    assert not flag.exists()


def test_parallel_lines_run_at_the_same_time(here):
    folder = here / "meeting"
    folder.mkdir()
    script = "".join(f"meet folder={folder} name=n{n} of=4\n" for n in range(4))
    done = run(here, script, "--parallel", "4", "--size", "4", "--set",
               "pool.pipeline=1")
    assert (done.code, done.lines) == (0, [f'"n{n}"' for n in range(4)])


def test_parallel_output_keeps_the_order_of_the_lines(here):
    script = "".join(f"echo value={n} delay={0.02 if n % 3 == 0 else 0}\n"
                     for n in range(60))
    script += "stream count to=5 delay=0.01\n" * 4
    done = run(here, script, "-j", "8", "--size", "4")
    assert done.code == 0
    assert done.lines == [str(n) for n in range(60)] + list("01234") * 4


def test_a_failure_among_parallel_lines_is_the_first_in_order(here):
    script = "echo value=1 delay=0.2\necho value=2\nfail\n" + "echo value=3\n" * 50
    done = run(here, script, "-j", "4", "--size", "4")
    assert (done.code, done.out) == (7, "1\n2\n")
    assert "script:3" in done.err


def test_the_script_may_be_standard_input(here):
    done = snakepit("run", "-", "--parallel", "4", cwd=here,
                    stdin="".join(f"echo value={n}\n" for n in range(200)))
    assert (done.code, done.lines) == (0, [str(n) for n in range(200)])


def test_an_empty_script_is_fine(here):
    assert run(here, "# nothing\n").code == 0


def test_a_pit_that_is_not_ready_runs_no_line(here):
    flag = here / "ran"
    done = run(here, f"touch path={flag}\n", "-a", "no.such:Thing")
    assert done.code == 3
    assert not flag.exists()


def test_an_interrupt_ends_the_run(here):
    (here / "script").write_text(
        "echo value=1\necho value=2\necho delay=600 -t never\necho value=3\n")
    with Started("run", "script", cwd=here) as started:
        assert started.line() == "1\n"
        assert started.line() == "2\n"
        started.signal()
        done = started.end()
    assert done.code == 130
    assert "interrupted after 2 of 4 lines" in done.err


def test_progress_counts_lines(here):
    (here / "script").write_text("echo value=1 delay=0.05\n" * 5)
    code, shown, out = on_terminal("run", "script", cwd=here, out_is_terminal=False)
    assert (code, out) == (0, "1\n" * 5)
    assert "of 5 lines" in shown


def test_a_missing_script_is_not_found(here):
    done = snakepit("run", "missing", cwd=here)
    assert done.code == 4
    assert snakepit("run", cwd=here).code == 2


def test_lines_with_the_same_key_are_one_piece_of_work(here):
    done = run(here, "pid --dedupe-key k\npid --dedupe-key k --idempotent\npid --dedupe-key l\n")
    assert done.code == 0
    first, second, third = done.out.splitlines()
    assert first == second != third
