# SPDX-License-Identifier: MIT
"""The examples do what they say, and what the README shows works."""

import os
import re
import subprocess
import sys
from pathlib import Path

from conftest import PATIENCE, WORKER_PYTHON

ROOT = Path(__file__).resolve().parents[4]


def run(*command, **options):
    done = subprocess.run(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=PATIENCE,
        env=dict(os.environ, SNAKEPIT_PYTHON=WORKER_PYTHON),
        **options,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_calling():
    assert run(ROOT / "examples/python/calling.py") == [
        "call: {'result': 5}",
        "map: [0, 2, 4, 6, 8]",
        "submit: {'result': 42}",
        "stream: ping 1 of 2",
        "stream: ping 2 of 2",
        "session: 0.5 ['rate']",
        "tools: ['adapter_info', 'add'] ...",
        "failure: SP-BAD-ARGS no",
    ]


def test_calling_in_an_event_loop():
    assert run(ROOT / "examples/python/calling_async.py") == [
        "gather: [1, 2, 3, 4, 5]",
        "amap: 9900",
        "astream: ping 1 of 2",
        "astream: ping 2 of 2",
        "failure: ValueError",
    ]


def test_what_the_readme_shows(tmp_path):
    """The program with its adapter, both as they stand there."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    adapter = next(block for block in blocks if block.startswith("# words.py"))
    program = next(block for block in blocks if block.startswith("import snakepit"))
    (tmp_path / "words.py").write_text(adapter, encoding="utf-8")
    (tmp_path / "lines.txt").write_text("one\ntwo words\n", encoding="utf-8")
    assert run("-c", program, cwd=tmp_path) == ["1", "2", "{'words': 3}"]
