# SPDX-License-Identifier: MIT
"""snakepit hardware: of this machine. Others are in test/unit/hardware."""

import json
import os

from cli_tool import snakepit


def test_it_shows_the_processor_memory_and_devices():
    done = snakepit("hardware")
    assert (done.code, done.err) == (0, "")
    assert done.lines[0].startswith("processor  ") and os.uname().machine in done.lines[0]
    assert any(line.startswith("memory     ") and "available" in line for line in done.lines)
    head = next(i for i, line in enumerate(done.lines) if line.startswith("DEVICE"))
    assert any(line.startswith("cpu ") for line in done.lines[head + 1:])


def test_as_json_it_is_the_librarys_report():
    found = json.loads(snakepit("hardware", "-o", "json").out)
    assert found["version"] == 1
    assert found["cpu"]["usable"] == len(os.sched_getaffinity(0))
    assert found["devices"][-1]["kind"] == "cpu"
    assert found["capabilities"]["cuda"] == any(d["kind"] == "cuda" for d in found["devices"])


def test_the_first_device_that_is_there_is_chosen():
    found = json.loads(snakepit("hardware", "-o", "json").out)
    done = snakepit("hardware", "auto")
    assert (done.code, done.lines) == (0, [found["devices"][0]["device"]])
    assert snakepit("hardware", "mps", "cpu").lines == ["cpu"]
    chosen = json.loads(snakepit("hardware", "cpu", "-o", "json").out)
    assert chosen["name"] == found["devices"][-1]["name"]


def test_what_is_not_there_and_what_is_no_device():
    done = snakepit("hardware", "cuda:63", "mps")
    assert done.code == 4 and "mps: there is none" in done.err
    done = snakepit("hardware", "tpu", "cpu")
    assert done.code == 2 and "auto, cpu, cuda" in done.err
