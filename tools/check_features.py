#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Check docs/features.md: legal states, numbers in order, places and proofs that exist.

A row is `| # | promise | state | where it lives | proof |`. The proof of a row that
`works` names one or more files of this repository, each as `path` or `path::name`,
where `name` is a function in that file. A path of this repository in the fourth column
must exist too. `--number` rewrites the first column, so that
rows can be inserted anywhere.
"""

import re
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "features.md"
STATES = ("works", "planned", "differs")
FOLDERS = (
    "bridges/", "cli/", "docs/", "examples/", "guard/", "include/", "proto/", "src/",
    "test/", "tools/",
)
ROW = re.compile(r"^\|\s*(\d+)\s*\|")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def proof_error(proof: str) -> str | None:
    """What is wrong with one `path` or `path::name`, or None."""
    path, _, name = proof.partition("::")
    file = ROOT / path
    if not file.is_file():
        return f"{path} does not exist"
    if not name:
        return None
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        found = re.search(rf"^\s*(?:async )?def {re.escape(name)}\(", text, re.M)
    else:
        found = re.search(rf"\b{re.escape(name)}\b", text)
    return None if found else f"{path} has no {name}"


def place_error(place: str) -> str | None:
    """What is wrong with a path in the fourth column; other words are not looked at."""
    if place.startswith(FOLDERS) and not (ROOT / place).exists():
        return f"{place} does not exist"
    return None


def row_errors(line: str, number: int) -> list[str]:
    row = cells(line)
    if len(row) != 5:
        return [f"{len(row)} cells instead of 5 (a | inside a cell?)"]
    given, promise, state, where, proof = row
    errors = []
    if int(given) != number:
        errors.append(f"number {given} should be {number} (--number renumbers)")
    if not promise or not where:
        errors.append("an empty cell")
    if state not in STATES:
        errors.append(f"state {state!r} is none of {', '.join(STATES)}")
    proofs = re.findall(r"`([^`]+)`", proof)
    if state == "works" and not proofs:
        errors.append("works, but nothing proves it")
    if state == "planned" and proofs:
        errors.append("planned, yet something proves it")
    errors += [wrong for wrong in map(proof_error, proofs) if wrong]
    places = re.findall(r"`([^`]+)`", where)
    errors += [wrong for wrong in map(place_error, places) if wrong]
    return errors


def renumber(lines: list[str]) -> None:
    number = 0
    for i, line in enumerate(lines):
        if ROW.match(line):
            number += 1
            lines[i] = ROW.sub(f"| {number} |", line)
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{number} rows numbered")


def main(argv: list[str]) -> int:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    if argv[1:] == ["--number"]:
        renumber(lines)
        return 0
    count = Counter()
    wrong = 0
    for at, line in enumerate(lines, 1):
        if not ROW.match(line):
            continue
        count["rows"] += 1
        for error in row_errors(line, count["rows"]):
            print(f"docs/features.md:{at}: {error}")
            wrong += 1
        row = cells(line)
        if len(row) == 5:
            count[row[2]] += 1
    if count["rows"] == 0:
        print("docs/features.md has no rows")
        wrong += 1
    summary = ", ".join(f"{count[state]} {state}" for state in STATES)
    print(f"features: {count['rows']} rows, {summary}, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
