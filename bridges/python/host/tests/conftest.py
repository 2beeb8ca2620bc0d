# SPDX-License-Identifier: MIT
"""Pits of real workers, opened and closed by the interpreter that runs the tests.

Run with the built package on the path:

    PYTHONPATH=<build>/python SNAKEPIT_BUILD=<build> \\
        /usr/bin/python3 -m pytest bridges/python/host/tests

After every test the process is as it was: no child, no descriptor, no thread more.
"""

import gc
import os
import time
from pathlib import Path

import pytest

import snakepit

HERE = Path(__file__).resolve().parent
ADAPTER = str(HERE / "tools_adapter.py")
# The interpreter of the workers: the one that their extension was built for.
WORKER_PYTHON = os.environ.get("SNAKEPIT_TEST_WORKER_PYTHON", "/usr/bin/python3")
PATIENCE = 60.0  # seconds for anything that should take none


def wait_for(condition, what):
    ends = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < ends, f"not in time: {what}"
        time.sleep(0.002)


def children():
    path = f"/proc/self/task/{os.getpid()}/children"
    return Path(path).read_text(encoding="ascii").split()


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def threads():
    return len(os.listdir("/proc/self/task"))


@pytest.fixture(scope="session")
def warm():
    """What the first pit of a process makes for good: the pipe in which libuv hears of
    signals."""
    snakepit.open(adapter=ADAPTER, size=1, wait=False).close()


@pytest.fixture(autouse=True)
def nothing_is_left(warm):
    before = descriptors(), threads()
    yield
    gc.collect()
    assert children() == []
    wait_for(
        lambda: descriptors() <= before[0] and threads() <= before[1],
        f"{before} descriptors and threads, now {(descriptors(), threads())}",
    )


def opened(**pool):
    pool.setdefault("adapter", ADAPTER)
    pool.setdefault("size", 2)
    pool.setdefault("python", WORKER_PYTHON)
    return snakepit.open(**pool)


@pytest.fixture
def pit():
    with opened() as one:
        yield one


@pytest.fixture
def gate(tmp_path):
    """A call of `hold` and its end."""

    class Gate:
        path = str(tmp_path / "gate")

        def await_held(self):
            wait_for(lambda: os.path.exists(self.path + ".held"), "the tool runs")

        def release(self):
            Path(self.path + ".go").touch()

    one = Gate()
    yield one
    one.release()
