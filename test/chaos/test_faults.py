# SPDX-License-Identifier: MIT
"""Faults from outside: calls of the C library that fail, system calls that do not exist.

libspfault.so lets the n-th call of a kind fail in a program that uses the library as
others do; strace takes system calls away from the built programs, so that each fallback
carries a whole storm.
"""

import os
import shutil
import subprocess
from pathlib import Path

import check
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ.get("SNAKEPIT_BUILD", ROOT / "build")).resolve()
CHAOS = BUILD / "test/chaos"

# Site, error, once or sticky, step. What the kernel would not do for ever is not sticky.
SWEEPS = (
    ("memory", "ENOMEM", "once", 9),
    ("memory", "ENOMEM", "sticky", 97),
    ("files", "EMFILE", "once", 1),
    ("files", "ENFILE", "sticky", 5),
    ("receive", "short", "sticky", 5),
    ("receive", "EINTR", "once", 5),
    ("receive", "EAGAIN", "once", 5),
    ("receive", "ECONNRESET", "once", 2),
    ("receive", "ECONNRESET", "sticky", 9),
    ("send", "short", "sticky", 5),
    ("send", "EINTR", "once", 5),
    ("send", "EAGAIN", "once", 5),
    ("send", "EPIPE", "once", 3),
    ("send", "ECONNRESET", "sticky", 9),
    ("threads", "EAGAIN", "once", 1),
    ("spawn", "EAGAIN", "once", 1),
    ("truncate", "ENOSPC", "once", 1),
    ("map", "ENOMEM", "once", 1),
)
# System calls that old kernels and strict sandboxes do not have.
MISSING = ("clone3", "close_range", "pidfd_open",
           "clone3,close_range,pidfd_open,pidfd_send_signal")


@pytest.mark.parametrize(("site", "error", "mode", "step"), SWEEPS)
def test_a_fault_at_any_call_is_survived(site: str, error: str, mode: str, step: int,
                                         tmp_path: Path) -> None:
    control = tmp_path / "control"
    control.write_bytes(bytes(4096))
    environment = {"PATH": os.environ["PATH"], "SPFAULT_CONTROL": str(control),
                   "LD_PRELOAD": str(CHAOS / "libspfault.so")}
    run = subprocess.run([CHAOS / "faulted", control, site, error, mode, str(step)],
                         env=environment, capture_output=True, text=True, timeout=300,
                         check=False)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize("missing", MISSING)
def test_a_kernel_without_it_carries_a_storm(missing: str, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    command = ["strace", "-f", "--seccomp-bpf", "-o", trace, "-e", f"trace={missing}",
               "-e", f"inject={missing}:error=ENOSYS",
               CHAOS / "chaos", "storm", "--folder", tmp_path, "--calls", "500",
               "--streams", "20", "--kills", "0", "--hangs", "0", "--evils", "10",
               "--guards", "1", "--workers", "4", "--health_ms", "5000"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    verdict, ledgers = check.check(tmp_path)
    found = {rule: lines[:5] for rule, lines in verdict.broken.items() if lines}
    assert not found, run.stdout
    assert not verdict.dead, run.stdout
    assert ledgers.calls
    assert "INJECTED" in trace.read_text(encoding="utf-8")
