# SPDX-License-Identifier: MIT
"""Work on real texts: plain functions, as any module has them."""

import hashlib
import os
import re
from collections import Counter

_WORD = re.compile(r"[a-z]{5,}")


def files(folder: str) -> list:
    """The regular files of a folder, by name."""
    paths = (os.path.join(folder, name) for name in sorted(os.listdir(folder)))
    return [path for path in paths if os.path.isfile(path) and not os.path.islink(path)]


def read_all(folder: str):
    """Read file after file: a chunk for each, with what is known so far."""
    words = Counter()
    paths = files(folder)
    for number, path in enumerate(paths, 1):
        with open(path, encoding="utf-8", errors="replace") as file:
            words.update(_WORD.findall(file.read().lower()))
        yield {"file": os.path.basename(path), "done": number, "of": len(paths),
               "words": sum(words.values()), "top": words.most_common(3)}


def numbers():
    """A stream without an end."""
    n = 0
    while True:
        n += 1
        yield n


def seal(path: str, rounds: int) -> dict:
    """A key that is expensive to derive from a file: honest work for a processor."""
    with open(path, "rb") as file:
        key = hashlib.pbkdf2_hmac("sha256", file.read(), b"showcase", rounds)
    return {"file": os.path.basename(path), "key": key.hex(), "pid": os.getpid()}
