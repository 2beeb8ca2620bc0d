# SPDX-License-Identifier: MIT
"""snakepit stream: a line for each chunk as it comes, and an end when it is wanted."""

import json
import os
import re
import subprocess

import pytest
from cli_tool import (SNAKEPIT, Started, environment, nobody_left, on_terminal, snakepit,
                      wait_until)

ADAPTER = '''
import time
from snakepit_bridge import BaseAdapter, tool

class Adapter(BaseAdapter):
    @tool
    def count(self, to: int, delay: float = 0.0, fail_at: int = -1):
        for number in range(to):
            if number == fail_at:
                raise ValueError("enough")
            yield {"number": number, "progress_percent": 100.0 * (number + 1) / to}
            time.sleep(delay)

    @tool
    def forever(self, path: str):
        number = 0
        try:
            while True:
                yield {"number": number}
                number += 1
                time.sleep(0.001)
        finally:
            open(path, "w").close()
'''


@pytest.fixture
def here(tmp_path):
    (tmp_path / "a.py").write_text(ADAPTER)
    return tmp_path


def test_each_chunk_is_a_line(here):
    done = snakepit("stream", "-a", "a.py", "count", "to=5", cwd=here)
    assert (done.code, done.err) == (0, "")
    assert [json.loads(line)["number"] for line in done.lines] == [0, 1, 2, 3, 4]


def test_an_empty_stream_is_no_lines(here):
    done = snakepit("stream", "-a", "a.py", "count", "to=0", cwd=here)
    assert (done.code, done.out, done.err) == (0, "", "")


def test_chunks_leave_as_they_come(here):
    flag = here / "closed"
    with Started("stream", "-a", "a.py", "forever", f"path={flag}", cwd=here) as started:
        assert json.loads(started.line()) == {"number": 0}
        assert json.loads(started.line()) == {"number": 1}
        started.signal()
        done = started.end()
    assert done.code == 130
    assert re.search(r"interrupted after \d+ chunks", done.err)
    assert flag.exists(), "the generator was not closed"


def test_count_closes_the_generator(here):
    flag = here / "closed"
    done = snakepit("stream", "-a", "a.py", "forever", f"path={flag}", "--count", "3",
                    cwd=here)
    assert (done.code, len(done.lines)) == (0, 3)
    assert flag.exists(), "the generator was not closed"


def test_a_reader_that_goes_away_ends_the_stream(here):
    flag = here / "closed"
    mark = "stream-reader"
    process = subprocess.Popen(
        [SNAKEPIT, "stream", "-a", "a.py", "forever", f"path={flag}"], cwd=here,
        env=environment(mark), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 141
    assert process.stderr.read() == b""
    process.stderr.close()
    nobody_left(mark)
    wait_until(flag.exists, "the generator to be closed")


def test_an_exception_follows_the_chunks_before_it(here):
    done = snakepit("stream", "-a", "a.py", "count", "to=5", "fail_at=2", cwd=here)
    assert (done.code, len(done.lines)) == (7, 2)
    assert done.err.startswith("error SP-REMOTE: ")
    assert "ValueError: enough" in done.err


def test_the_deadline_covers_the_whole_stream(here):
    done = snakepit("stream", "-a", "a.py", "forever", "path=closed", "-t", "300ms",
                    cwd=here)
    assert done.code == 6
    assert len(done.lines) > 0
    assert "error SP-TIMEOUT" in done.err


def test_progress_stands_on_the_terminal_and_goes_away(here):
    words = ["stream", "-a", "a.py", "count", "to=20", "delay=0.03"]
    code, shown, out = on_terminal(*words, cwd=here, out_is_terminal=False)
    assert code == 0
    assert len(out.splitlines()) == 20
    assert re.search(r"\[#+\.*\] +\d+\.\d %  \d+ chunks", shown)
    assert shown.endswith("\r\x1b[K")


def test_no_terminal_no_progress(here):
    words = ["stream", "-a", "a.py", "count", "to=20", "delay=0.03"]
    assert snakepit(*words, cwd=here).err == ""
    _, shown, _ = on_terminal(*words, "-q", cwd=here, out_is_terminal=False)
    assert shown == ""
    _, shown, _ = on_terminal(*words, cwd=here, env={"TERM": "dumb"},
                              out_is_terminal=False)
    assert shown == ""


def test_showcase_streams_a_csv(tmp_path):
    file = tmp_path / "data.csv"
    file.write_text("a,b\n" + "".join(f"{n},{n * 2}\n" for n in range(2500)))
    done = snakepit("stream", "process_large_dataset", f"file_path={file}",
                    "chunk_size=1000")
    assert done.code == 0, done.err
    assert len(done.lines) >= 3
    assert os.path.exists(file)
