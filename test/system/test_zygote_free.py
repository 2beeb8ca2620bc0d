# SPDX-License-Identifier: MIT
"""A free-threaded interpreter is forked like any other, and its workers have threads."""

import json

import pytest

import peers
from cli_tool import snakepit
from test_threads import free_threaded

ADAPTER = """
import os, sys, threading

from snakepit_bridge import tool
from snakepit_bridge.base_adapter_threaded import ThreadSafeAdapter

LOADED_BY = os.getpid()


class Meets(ThreadSafeAdapter):
    def initialize(self):
        self.all = threading.Barrier(3)

    @tool
    def meet(self):
        self.all.wait(60)
        return [LOADED_BY != os.getpid(), sys._is_gil_enabled()]
"""


@pytest.mark.skipif("LD_PRELOAD" in peers.ENVIRONMENT,
                    reason="the extension for it is built without the sanitizer")
def test_workers_with_threads_are_forked(tmp_path):
    (tmp_path / "adapter.py").write_text(ADAPTER)
    words = ["--size", "1", "-a", "adapter.py"]
    for setting in (f"python={free_threaded()}", "zygote=on", "profile=thread",
                    "threads=3"):
        words += ["--set", f"pool.{setting}"]
    done = snakepit("map", "meet", *words, cwd=tmp_path, stdin="{}\n" * 3)
    assert done.code == 0, done
    assert [json.loads(line) for line in done.lines] == [[True, False]] * 3
