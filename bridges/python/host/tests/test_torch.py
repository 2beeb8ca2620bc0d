# SPDX-License-Identifier: MIT
"""What PyTorch itself raises in a worker, as its caller gets it: the words change from one
version to the next, what they are about does not."""

import os
import subprocess

import pytest
from conftest import HERE, WORKER_PYTHON
from torch_failures import CASES

import snakepit


@pytest.fixture(scope="module")
def pit():
    """A worker that has PyTorch: Debian's python3-torch, or one on PYTHONPATH."""
    found = subprocess.run([WORKER_PYTHON, "-c", "import torch"], capture_output=True, text=True)
    if found.returncode != 0:
        said = found.stderr.strip().splitlines()[-1:]
        pytest.skip(f"needs PyTorch (python3-torch, or PYTHONPATH): {said}")
    kept = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    with snakepit.open(
        adapter=str(HERE / "torch_adapter.py"), python=WORKER_PYTHON, size=1,
        env={"set": kept},
    ) as opened:  # fmt: skip
        yield opened


def failure(pit, tool, **arguments):
    with pytest.raises(snakepit.RemoteError) as caught:
        pit.call(tool, **arguments)
    details = caught.value.remote_details
    assert details is not None, caught.value.remote_message
    assert details["library"] == "torch", details
    return details


@pytest.mark.parametrize("case", CASES)
def test_what_did_not_fit_is_told(pit, case):
    expected = CASES[case][1]
    found = failure(pit, "fail", case=case)
    assert {name: found.get(name) for name in expected} == expected


def test_where_the_devices_are_is_told(pit):
    found = failure(pit, "fail", case="devices in a sum")
    assert {found["expected"], found["got"]} == {"cpu", "meta"}


def test_its_own_class_of_memory_errors(pit):
    found = failure(pit, "run_out")
    assert (found["device"], found["requested_bytes"], found["available_bytes"]) == (
        "cuda:0", 2 << 30, 0,
    )  # fmt: skip
