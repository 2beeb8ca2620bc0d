# SPDX-License-Identifier: MIT
"""The demo says of itself whether everything is right; this holds it to that."""

import glob
import os
import pty

import peers

DEMO = peers.BUILD / "examples" / "demo"


def test_the_demo_is_right_about_everything():
    done = peers.run(DEMO, peers.ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WRONG" not in done.stdout
    for text in (
        "1000 of 1000 answers are right",
        "100.0 %  200000 rows",
        "ValueError: this is a demonstration of a ValueError",
        "of 9 processes 0 are left, and 0 children",
    ):
        assert text in done.stdout
    assert glob.glob("/tmp/snakepit-demo-*") == []


def test_the_demo_draws_a_bar_on_a_terminal():
    terminal, its_side = pty.openpty()
    try:
        with peers.running(DEMO, peers.ROOT, stdout=its_side) as demo:
            os.close(its_side)
            its_side = -1
            shown = b""
            while b"\n3. " not in shown:
                shown += os.read(terminal, 4096)
            assert b"\r  [####" in shown
            # Nobody reads on: the rest must not block the demo for ever.
            while True:
                try:
                    if not os.read(terminal, 4096):
                        break
                except OSError:
                    break  # the demo has ended and nobody holds the other side
            assert demo.wait(peers.DEADLINE_S) == 0
    finally:
        os.close(terminal)
        if its_side >= 0:
            os.close(its_side)


def test_the_demo_fails_without_documents(tmp_path):
    (tmp_path / "examples").symlink_to(peers.ROOT / "examples")
    done = peers.run(DEMO, tmp_path)
    assert done.returncode == 1
    assert "WRONG: no documents" in done.stdout
