# SPDX-License-Identifier: MIT
"""Word statistics: plain functions, which know nothing of snakepit.

A file like this is an adapter as it is: its public functions are the tools.

    snakepit call --adapter wordcount.py count text="to be or not to be"
    snakepit call --adapter wordcount.py count_file path=README.md top=5
    snakepit stream --adapter wordcount.py lines path=README.md
"""

import re
from collections import Counter

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")


def _words(text):
    return [word.lower() for word in _WORD.findall(text)]


def count(text: str, top: int = 10) -> dict:
    """How many words a text has, and the most frequent ones."""
    words = _words(text)
    return {"words": len(words), "top": Counter(words).most_common(top)}


def count_file(path: str, least: int = 1) -> dict:
    """The words of a file with their numbers, shorter words than `least` left out."""
    with open(path, encoding="utf-8", errors="replace") as file:
        words = _words(file.read())
    counts = Counter(word for word in words if len(word) >= least)
    return {"words": len(words), "different": len(set(words)), "counts": counts}


def lines(path: str):
    """The number of words of each line: a generator is a stream."""
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            yield {"line": number, "words": len(_words(line))}
