# SPDX-License-Identifier: MIT
"""Every example in shell does what it says, and leaves no process behind."""

import re

import pytest

from example_runs import EXAMPLES, check, run_example

PRINTS = {
    "adapter": [
        "countdown", "forget", "learn", "score", "who",
        '{"different":5,"total":6}',
        '{"words":6,"top":[["to",2]]}',
        "the template has tools",
    ],
    "basic": [
        '{"result":8}',
        "2.5",
        '{"words":6,"top":[["to",2],["be",2]]}',
        '{"left":3}',
        '{"left":2}',
        '{"left":1}',
        "error_demo ended with status 7",
    ],
    "crash": [
        "1.5",
        "2.5",
        "status 7",
        "error SP-WORKER-DIED: worker default/0 killed by SIGABRT",
    ],
    "gil": ["pool: processes", '"4 calls"'],
    "hybrid": [
        "ok, 2 pools, 3 workers",
        '{"result":8}',
        re.compile(r'\{"input_size":3,"thread":"snakepit-\d"\}'),
        "api: 2 worker(s)",
        "compute: 1 worker(s)",
    ],
    "parallel": [
        "the sum of 100 results: 5150",
        "ONE", "TWO WORDS",
        "[1,3]", '[2,"SP-BAD-ARGS"]', "[3,7]",
    ],
    "profiles": [
        "processes: 4 process(es), 4 thread(s)",
        "threads: 1 process(es), 4 thread(s)",
    ],
    "recycling": [
        "short-lived: 10 calls, at most 3 for one worker",
        "aging: 15 calls, by more than one worker",
    ],
    "sessions": [
        '{"value":41}', '{"value":7}', '{"value":42}', '{"value":42}', '{"value":7}',
    ],
    "streaming": [
        "[0,1,1,2,3,5,8,13,21,34]",
        "1", "2", "3",
        re.compile(r'\{"lines":\d+,"words":\d+\}'),
    ],
    "telemetry": [
        "workers come and go:",
        re.compile(r"\[/0\] guard\.ready: orphan-safety: .*"),
        "[default/0] worker.spawned: default/0",
        re.compile(r"\[default/0\] worker\.ready: python 3\..*"),
        "[default/0] pool.ready: every worker is ready",
        "[default/0] worker.stopped: worker default/0 was stopped",
        "figures of a pool:",
        '{"name":"default","workers":2,"available":2,"busy":0,"queued":0,"errors":0,'
        '"queue_timeouts":0}',
        "figures of a tool:",
        re.compile(r'\{"failed":0,"p99_us":[\d.]+\}'),
    ],
    "tools": [
        '"Hello, Grace!"',
        '["customer_name","now"]',
        "the call failed with status 7",
    ],
    "variables": [
        "3 is refused: 2", "0.9", "large", "somebody came first: 5", "4", "temperature",
        "model", '{"text": "Answer in one word."}',
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(PRINTS))
def test_shell_example(name, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))  # what variables.sh stores goes there
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    check(run_example("sh", EXAMPLES / "shell" / f"{name}.sh"), PRINTS[name])


def test_every_script_is_in_the_table():
    assert {path.stem for path in (EXAMPLES / "shell").glob("*.sh")} == set(PRINTS)
