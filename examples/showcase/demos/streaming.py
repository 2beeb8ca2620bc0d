# SPDX-License-Identifier: MIT
"""Streams: progress while it happens, and leaving early."""

import snakepit

from . import ADAPTERS, LICENSES

TITLE = "Streaming operations: progress and chunks"


def run(stage):
    stage.say(f"""A generator in a worker is a stream here: chunks come as they are
              made. This one counts words in the licences that every Debian has in
              {LICENSES}.""")
    stage.code('for chunk in pit.stream("read_all", folder=...): ...')
    with snakepit.open(adapter=str(ADAPTERS / "texts.py"), size=1) as pit:
        chunks = []
        for chunk in pit.stream("read_all", folder=LICENSES):
            chunks.append(chunk)
            stage.bar(chunk["file"], chunk["done"] / chunk["of"],
                      f"{chunk['words']} words")
        last = chunks[-1]
        numbers = [chunk["done"] for chunk in chunks]
        stage.check(f"{len(chunks)} chunks for {last['of']} files, in order",
                    numbers == list(range(1, last["of"] + 1)))
        stage.show("most frequent", ", ".join(f"{word} {n}" for word, n in last["top"]))
        leave_early(stage, pit)


def leave_early(stage, pit):
    stage.say("""A reader sets the pace: a worker runs ahead by about a mebibyte and
              then waits. This stream has no end; we read a thousand numbers and go.""")
    total = 0
    with pit.stream("numbers") as numbers:
        for number in numbers:
            total += number
            if number == 1000:
                break
    stage.check(f"their sum is {total}", total == 500_500)
    stage.check("the worker is free for others: a call is answered",
                len(pit.call("files", folder=LICENSES)) > 0)
