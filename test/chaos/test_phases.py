# SPDX-License-Identifier: MIT
"""Every phase in a few seconds, judged by the checker. `make chaos` does more of each."""

import os
import subprocess
from pathlib import Path

import check
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ.get("SNAKEPIT_BUILD", ROOT / "build")).resolve()
PHASES = {
    "storm": ["--calls", "1000", "--streams", "50", "--kills", "20", "--hangs", "1",
              "--guards", "1"],
    "recycle": ["--calls", "2000", "--recycles", "16"],
    "cancel": ["--calls", "1000", "--streams", "100"],
    "shutdown": ["--rounds", "5"],
    "overload": ["--seconds", "1"],
    "misdeeds": ["--calls", "60"],
    "soak": ["--seconds", "4"],
}


@pytest.mark.parametrize("phase", PHASES)
def test_a_phase_keeps_every_rule(phase: str, tmp_path: Path) -> None:
    run = subprocess.run([BUILD / "test/chaos/chaos", phase, "--folder", tmp_path,
                          *PHASES[phase]], capture_output=True, text=True, timeout=300,
                         check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    verdict, ledgers = check.check(tmp_path)
    found = {rule: lines[:5] for rule, lines in verdict.broken.items() if lines}
    assert not found, run.stdout
    assert not verdict.dead, run.stdout
    assert ledgers.calls


def test_an_unknown_phase_is_refused(tmp_path: Path) -> None:
    run = subprocess.run([BUILD / "test/chaos/chaos", "calm", "--folder", tmp_path],
                         capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 2
    assert "storm" in run.stderr
