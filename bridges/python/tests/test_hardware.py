# SPDX-License-Identifier: MIT
"""snakepit_bridge.hardware: of this machine, and of one that is only files and a script."""

import os
import threading

import pytest

from snakepit_bridge import hardware

NVIDIA_SMI = """#!/bin/sh
echo 'NVIDIA A100, GPU-aaaa, 40536, 40000, 8.0, 12, 5, 41, 55.25, 400.00, 550.54'
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Where such a machine is, for detect() and select()."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (tmp_path / "proc/driver/nvidia").mkdir(parents=True)
    (tmp_path / "proc/cpuinfo").write_text("processor\t: 0\nmodel name\t: X\nflags\t: avx2\n")
    (tmp_path / "proc/meminfo").write_text("MemTotal: 1000 kB\nMemAvailable: 10 kB\n")
    tool = tmp_path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text(NVIDIA_SMI)
    tool.chmod(0o755)
    return {"root": str(tmp_path), "path": str(tool.parent)}


def test_this_machine_has_a_processor_and_memory():
    found = hardware.detect()
    assert found["version"] == 1
    assert found["cpu"]["usable"] == len(os.sched_getaffinity(0))
    assert found["cpu"]["architecture"] == os.uname().machine
    assert found["memory"]["total_bytes"] > 0
    assert found["devices"][-1]["device"] == "cpu"
    assert hardware.select("cpu") == found["devices"][-1]


def test_another_machine_has_what_its_files_say(machine):
    found = hardware.detect(**machine)
    assert [d["device"] for d in found["devices"]] == ["cuda:0", "cpu"]
    assert found["devices"][0]["memory_free_bytes"] == 40000 << 20
    assert found["cpu"]["features"] == ["avx2"]
    assert hardware.capabilities(**machine)["cuda"] is True


def test_the_first_that_is_there_is_chosen(machine):
    assert hardware.select(**machine)["device"] == "cuda:0"
    assert hardware.select(["mps", "cuda:0", "cpu"], **machine)["name"] == "NVIDIA A100"
    assert hardware.select("mps,cpu", **machine)["device"] == "cpu"


def test_what_is_not_there_and_what_is_no_device(machine):
    with pytest.raises(hardware.DeviceNotAvailable, match="cuda:3: there are not so many"):
        hardware.select(["cuda:3", "mps"], **machine)
    with pytest.raises(ValueError, match='"tpu" is no device'):
        hardware.select(["tpu", "cpu"], **machine)


def test_an_identity_is_the_same_each_time(machine):
    first = hardware.identity(**machine)
    assert first == hardware.identity(**machine)
    assert first["devices"] == [{"device": "cuda:0", "name": "NVIDIA A100", "capability": "8.0",
                                 "memory_total_bytes": 40536 << 20}]


def test_threads_that_ask_at_the_same_time_get_the_same():
    found = []
    threads = [threading.Thread(target=lambda: found.append(hardware.detect()["cpu"]))
               for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and all(x == found[0] for x in found)
