# SPDX-License-Identifier: MIT
"""Every example in Python does what it says, and leaves no process behind."""

import re

import pytest

import peers
from example_runs import EXAMPLES, check, run_example
from test_threads import free_threaded

PRINTS = {
    "adapter": [
        "learnt: {'different': 4, 'total': 6}",
        "scores: {'be': 20, 'cat': 0}",
        "countdown: [3, 2, 1]",
        "score takes words list required",
        "score takes weight float optional",
        "count: {'words': 6, 'top': [['to', 2]]}",
    ],
    "basic": [
        "health: True True",
        "call: {'result': 8}",
        "echo: {'echoed': {'text': 'hello'}}",
        "submit: {'result': 42}",
        'no such tool: SP-NO-TOOL pool default has no tool "adds"; near matches: add',
        "does not fit: SP-BAD-ARGS no",
        "raised: ValueError yes",
        "too slow: SP-TIMEOUT",
        "and goes on: STILL HERE",
    ],
    "crash": [
        "os.abort: SP-WORKER-DIED signal 6",
        "the next call: 1.5",
        "its worker killed: None",
        "again and again: SP-POISON attempts 2",
        "workers died: 4 retried: 2",
        "and goes on: 2.5",
    ],
    "gil": [
        re.compile(r"python 3\.\S+ - a lock"),
        "process - room for 4 calls at once, 8 done",
    ],
    "hybrid": [
        "api: {'result': 8}",
        re.compile(r"found in compute, on a thread: snakepit-\d"),
        "fast: [0, 2, 4, 6]",
        "slow: 4 batches",
        "api: 2 workers, room for 2, 5 calls",
        "compute: 1 workers, room for 4, 5 calls",
    ],
    "parallel": [
        "map: 999000",
        "threads: [1, 2, 3, 4, 5, 6, 7, 8]",
        "workers: 2 calls: 1008",
        "gather: [1, 2, 3, 4, 5]",
        "amap: 9900",
        "failure: ValueError",
    ],
    "profiles": [
        re.compile(r"processes: processes 4, threads 4, \d+ MiB"),
        re.compile(r"threads: processes 1, threads 4, \d+ MiB"),
    ],
    "recycling": [
        "replaced: True processes seen: True",
        re.compile(r"why: \['recycle\.(after|calls)'(, 'recycle\.calls')?\]"),
        "all calls answered, workers that died: 0",
    ],
    "sessions": [
        "ann: {'value': 42}",
        "bob: {'value': 7}",
        "sessions: ['ann', 'bob']",
        "sessions: []",
    ],
    "streaming": [
        "fibonacci: [0, 1, 1, 2, 3, 5, 8, 13, 21, 34]",
        *[f"progress: step {step} of 4" for step in (1, 2, 3, 4)],
        "an endless stream was left after 5",
        "astream: ping 1 of 2",
        "astream: ping 2 of 2",
    ],
    "telemetry": [
        "failed: SP-WORKER-DIED",
        "requests: 51 errors: 1 died: 1",
        "guard.ready 1",
        "pool.ready 1",
        "worker.died 1",
        "worker.ready 3",
        "worker.spawned 3",
        "worker.stopped 2",
    ],
    "tools": [
        "known in the shop: ['customer_name', 'discount']",
        "known elsewhere: ['customer_name']",
        "the worker asks for customer 1",
        "Hello, Grace!",
        "the worker asks for customer 7",
        "customer 7: snakepit_bridge.errors.ToolError - list index out of range",
        "offered: greet ['number']",
        "offered: known []",
    ],
    "variables": [
        "variables: {'measured': [], 'mode': 'day', 'wanted': 20.0}",
        "18 at night: {'heat': False}",
        "18 by day: {'heat': True}",
        "measured: [18.0, 18.0]",
        "23: {'wanted': 23.0}",
        "99: {'wanted': 23.0, 'refused': 'variable \"wanted\": value 99.0 is above "
        "maximum 30'}",
        "holiday: SP-BAD-VALUE",
        "back: [20.0, 23.0, 20.0]",
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(PRINTS))
def test_python_example(name):
    lines = run_example(peers.PYTHON, EXAMPLES / "python" / f"{name}.py")
    if name == "telemetry":  # the pit may tell of more than a program asks for
        lines = [line for line in lines if line in PRINTS[name]]
    check(lines, PRINTS[name])


def test_every_program_is_in_the_table():
    assert {path.stem for path in (EXAMPLES / "python").glob("*.py")} == set(PRINTS)


def test_threads_are_chosen_where_there_is_no_lock():
    if "LD_PRELOAD" in peers.ENVIRONMENT:
        pytest.skip("the extension for this interpreter is built without the sanitizer")
    python = free_threaded()
    program = EXAMPLES / "python" / "gil.py"
    # The argument is for whoever has not said SNAKEPIT_PYTHON, which goes first.
    for options, words in (({"worker_python": ""}, [python]), ({"worker_python": python}, [])):
        check(run_example(peers.PYTHON, program, *words, **options), [
            re.compile(r"python 3\.\S+.* - no lock"),
            "thread - room for 4 calls at once, 8 done",
        ])  # fmt: skip
