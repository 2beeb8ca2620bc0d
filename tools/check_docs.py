#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Check that files named in the documents exist.

Looked at are relative links and, in code spans, what looks like the path of a file or
folder of this repository; a path may also be given from src/ on, as the documents on
the inside do, or from the document's own folder.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\]\(([^)#\s]+)")
SPAN = re.compile(r"`([^`\s]+)`")
FENCE = re.compile(r"^```.*?^```", re.S | re.M)
PATH = re.compile(r"^[\w.-]+(/[\w.-]+)*/([\w.-]+\.(c|h|py|md|sh|proto|txt|yaml|build))?$")
# Folders of an installed system, of a build or of an example's own making.
ELSEWHERE = ("build", "usr", "etc", "run", "tmp", "~", ".venv", "findings")


def documents() -> list[Path]:
    found = sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md"))
    return found + sorted((ROOT / "bridges").rglob("*.md"))


def exists(document: Path, name: str) -> bool:
    places = (document.parent, ROOT, ROOT / "src")
    return any((place / name).exists() for place in places)


def check(document: Path) -> list[str]:
    text = document.read_text(encoding="utf-8")
    # Keep the lines, drop the words of code blocks: they show other people's files.
    text = FENCE.sub(lambda m: "\n" * m.group().count("\n"), text)
    wrong = []
    for at, line in enumerate(text.splitlines(), 1):
        names = [n for n in LINK.findall(line) if "://" not in n]
        names += [n for n in SPAN.findall(line)
                  if PATH.match(n) and not n.startswith(ELSEWHERE)]
        wrong += [f"{document.relative_to(ROOT)}:{at}: {name} does not exist"
                  for name in names if not exists(document, name)]
    return wrong


def main() -> int:
    pages = [p for p in documents()
             if "node_modules" not in p.parts and p.name != "features.md"]
    wrong = [line for page in pages for line in check(page)]
    for line in wrong:
        print(line)
    print(f"docs: {len(pages)} pages, {len(wrong)} names of nothing")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
