# SPDX-License-Identifier: MIT
"""Tools of profiles.py."""

import asyncio
import gc
import os
import sys
import threading

__thread_safe__ = True

_threads = set()


def compute(n: int):
    total = 0
    for i in range(n):
        total += i * i % 7
    return total


async def sleep(seconds: float):
    await asyncio.sleep(seconds)


def echo(n: int):
    _threads.add(threading.get_ident())
    return [n, {"text": f"call {n}"}]


def threads():
    return len(_threads)


def objects():
    """Blocks of memory that Python objects take now."""
    gc.collect()
    return sys.getallocatedblocks()


def hold(gate: str, note: str):
    """Say that the call is there, and stay until the gate gives it a byte."""
    with open(note + ".new", "w", encoding="utf-8") as file:
        file.write(str(os.getpid()))
    os.rename(note + ".new", note)
    descriptor = os.open(gate, os.O_RDONLY)
    os.read(descriptor, 1)
    os.close(descriptor)
