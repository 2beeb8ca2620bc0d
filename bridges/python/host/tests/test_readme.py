# SPDX-License-Identifier: MIT
"""What the README shows works."""

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


def test_what_the_readme_shows(tmp_path):
    """The program with its adapter, both as they stand there."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    adapter = next(block for block in blocks if block.startswith("# words.py"))
    program = next(block for block in blocks if block.startswith("import snakepit"))
    (tmp_path / "words.py").write_text(adapter, encoding="utf-8")
    (tmp_path / "lines.txt").write_text("one\ntwo words\n", encoding="utf-8")
    assert run("-c", program, cwd=tmp_path) == ["1", "2", "{'words': 3}"]
