#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Find calls that this project does not make.

Comments and string literals do not count. Each rule says where it holds and why, and
the message repeats the reason.
"""

import io
import re
import sys
import tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
C_FOLDERS = ("src", "guard", "cli", "include", "examples", "bridges", "test")

# Not a comment: a literal, kept apart so that a quote inside one does not open another.
COMMENT_OR_LITERAL = re.compile(
    r"//[^\n]*|/\*.*?\*/|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"", re.S
)


def calls(*names: str) -> re.Pattern:
    """A call of one of these, not a member and not a part of a longer name."""
    return re.compile(r"(?<![\w.>])(" + "|".join(names) + r")\s*\(")


def everywhere(path: str) -> bool:
    return True


def in_library(path: str) -> bool:
    return path.startswith("src/")


def outside_the_allocator(path: str) -> bool:
    return in_library(path) and path != "src/base/mem.c"


def in_tests(path: str) -> bool:
    return path.startswith("test/") and not path.startswith(("test/support/", "test/bench/"))


C_RULES = (
    (calls("strcpy", "strcat", "stpcpy", "sprintf", "vsprintf", "strtok", "gets"),
     everywhere, "knows no size: use snprintf or a buffer"),
    (calls("atoi", "atol", "atoll", "atof"), everywhere, "cannot fail: use strtol"),
    (calls("system", "popen"), everywhere, "starts a shell"),
    (calls("alloca", "strdupa", "strndupa"), everywhere, "cannot fail in order"),
    (calls("malloc", "calloc", "realloc", "reallocarray", "free", "strdup", "strndup",
           "asprintf", "vasprintf", "getline", "open_memstream"),
     outside_the_allocator, "goes past the allocator hook: use sp__malloc and its kin"),
    (calls("exit", "abort", "quick_exit"), in_library, "a library does not end its host"),
    (re.compile(r"(?<![\w.>])(fprintf)\s*\(\s*std(?:err|out)\b"), in_library,
     "a library does not print: return an error or raise an event"),
    (calls("printf", "puts", "perror", "putchar"), in_library,
     "a library does not print: return an error or raise an event"),
    (calls("sleep", "usleep", "nanosleep", "clock_nanosleep"), in_tests,
     "wait for an event with a deadline instead"),
)


def without_text(source: str) -> str:
    """The source with comments and literals blanked, lines kept."""
    return COMMENT_OR_LITERAL.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), source)


def check_c(path: Path) -> list[str]:
    name = path.relative_to(ROOT).as_posix()
    source = without_text(path.read_text(encoding="utf-8"))
    found = []
    for pattern, applies, why in C_RULES:
        if not applies(name):
            continue
        for match in pattern.finditer(source):
            at = source.count("\n", 0, match.start(1)) + 1
            found.append(f"{name}:{at}: {match.group(1)}: {why}")
    return found


def is_test(path: Path) -> bool:
    """Tests, but not what they start: a worker may be slow on purpose."""
    return path.name.startswith("test_")


def check_python(path: Path) -> list[str]:
    name = path.relative_to(ROOT).as_posix()
    found = []
    before = None
    for token in tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline):
        if token.type == tokenize.OP and token.string == "(" and before is not None:
            if before.type == tokenize.NAME and before.string == "sleep":
                found.append(f"{name}:{before.start[0]}: sleep: wait for an event with a "
                             "deadline instead")
        before = token
    return found


def main() -> int:
    found = []
    count = 0
    for folder in C_FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if {"node_modules", "site-packages"} & set(path.parts) or not path.is_file():
                continue
            if path.suffix in (".c", ".h"):
                found += check_c(path)
                count += 1
            elif path.suffix == ".py" and is_test(path):
                found += check_python(path)
                count += 1
    for line in found:
        print(line)
    print(f"banned: {count} files, {len(found)} calls that must go")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
