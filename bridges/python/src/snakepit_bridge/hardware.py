# SPDX-License-Identifier: MIT
"""What the machine can compute with, and the choice of a device.

    from snakepit_bridge import hardware

    device = hardware.select(["cuda", "mps", "cpu"])   # the first that is there
    model.to(device["device"])                         # "cuda:0", "mps" or "cpu"

What was found is remembered for as long as the process lives; ``refresh=True`` looks again,
for free memory and temperatures, say. CUDA_VISIBLE_DEVICES and its kin are honoured, so
numbers are those that PyTorch and others give the devices; ROCm builds of PyTorch call their
devices ``cuda``, whatever ``device`` says here.
"""

import json

__all__ = ["DeviceNotAvailable", "capabilities", "detect", "identity", "select"]


class DeviceNotAvailable(LookupError):
    """None of the devices that were wanted is there; the message says why of each."""


def detect(*, refresh=False, root=None, path=None):
    """A dict: cpu, memory, cpu_limit, numa, devices (the best first), drivers, notes,
    capabilities. ``root`` and ``path``, of the system's files and of the vendors' tools,
    are for tests; nothing is remembered of another root."""
    from . import _worker

    return json.loads(_worker.hardware_json(refresh, root, path))


def select(wanted="auto", *, refresh=False, root=None, path=None):
    """The first of ``wanted`` that is there, as one of ``detect()["devices"]``.

    wanted: "auto" (CUDA, then MPS, then ROCm, then the processor), "cpu", "cuda", "cuda:1",
    "rocm:0", "mps", or a list of them. Raises ValueError for what is no device, and
    DeviceNotAvailable.
    """
    from . import _worker

    if not isinstance(wanted, str):
        wanted = ",".join(wanted)
    devices = detect(refresh=refresh, root=root, path=path)["devices"]
    try:
        name = _worker.hardware_select(wanted, root, path)
    except LookupError as missing:
        raise DeviceNotAvailable(str(missing)) from None
    return next(device for device in devices if device["device"] == name)


def capabilities(*, root=None, path=None):
    """A dict of flags: cuda, mps, rocm, avx2, avx512, amx, neon ..."""
    return detect(root=root, path=path)["capabilities"]


def identity(*, root=None, path=None):
    """What tells machines of different kinds apart, and stays: nothing that changes while
    a machine runs. For the names of caches, say."""
    found = detect(root=root, path=path)
    return {
        "architecture": found["cpu"]["architecture"],
        "model": found["cpu"]["model"],
        "features": found["cpu"]["features"],
        "threads": found["cpu"]["threads"],
        "memory_total_bytes": found["memory"]["total_bytes"],
        "devices": [
            {key: device[key] for key in ("device", "name", "capability", "memory_total_bytes")}
            for device in found["devices"]
            if device["kind"] != "cpu"
        ],
    }
