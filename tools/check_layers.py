#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Check that includes point downwards only.

Reads the #include lines of the tree against the tables below and prints every arrow
that points upwards, sideways into a program, or at a library that belongs to another
layer.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Lowest first. A file may include its own layer and those before it.
LAYERS = ("base", "event", "log", "wire", "hardware", "io", "store", "guard", "worker",
          "pool", "session", "pit", "telemetry", "serve", "api")

# The worker half is a second tower on the same two foundations.
RUNTIME_MAY = ("base", "wire", "hardware", "runtime")

# The public headers anybody may use; everything else needs a line here.
PROGRAMS = {
    "cli": set(),
    "daemon": set(),
    "examples": set(),
    "guard": {"guard/protocol.h", "wire/zygote.h"},
    "bridges": {"wire/json.h", "wire/json_bytes.h", "wire/json_read.h",
                "wire/tensor.h", "wire/tensor_json.h",
                "base/buf.h", "base/clock.h", "base/error.h",
                "base/list.h", "base/mem.h"},
}

# Third-party headers, and who may use them. The first match counts.
OUTSIDE = (
    # A bridge's is that of its language, whose event loop it waits in.
    (re.compile(r"uv\.h$|uv/"), {"io", "bridges"}),
    (re.compile(r"nghttp2/"), {"wire"}),
    (re.compile(r"protobuf-c/"), {"wire"}),
    (re.compile(r"sqlite3\.h$"), {"store"}),
    (re.compile(r"yaml\.h$"), {"pit"}),
    (re.compile(r"pcre2\.h$"), {"session"}),
    (re.compile(r"curl/"), {"telemetry"}),
    (re.compile(r"jansson\.h$"), {"telemetry", "cli", "examples", "bridges"}),
    (re.compile(r"curses\.h$|term\.h$"), {"cli"}),
    (re.compile(r"microhttpd\.h$"), {"daemon"}),
    (re.compile(r"Python\.h$"), {"bridges"}),
    (re.compile(r"node_api\.h$"), {"bridges"}),
    (re.compile(r"ruby\.h$|ruby/"), {"bridges"}),
    (re.compile(r"R\.h$|Rinternals\.h$|R_ext/"), {"bridges"}),
)

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def owner(path: Path) -> str:
    """The layer or program a file belongs to: "pool", "runtime", "cli" ..."""
    parts = path.relative_to(ROOT).parts
    return parts[1] if parts[0] == "src" else parts[0]


def target(path: Path, name: str) -> Path | None:
    """The file of this tree that a quoted include means."""
    for base in (path.parent, ROOT / "src", ROOT / "include", ROOT):
        file = (base / name).resolve()
        if file.is_file():
            return file
    return None


def layer_error(mine: str, theirs: str) -> str | None:
    if mine == "runtime":
        if theirs not in RUNTIME_MAY:
            return f"the worker runtime may use {', '.join(RUNTIME_MAY[:-1])} only"
        return None
    if theirs not in LAYERS:
        return f"{theirs} is no layer below {mine}"
    if LAYERS.index(theirs) > LAYERS.index(mine):
        return f"{mine} is below {theirs}"
    return None


def include_error(path: Path, quote: str, name: str) -> str | None:
    mine = owner(path)
    in_library = path.relative_to(ROOT).parts[0] == "src"
    for pattern, allowed in OUTSIDE:
        if pattern.match(name):
            return None if mine in allowed else f"belongs to {', '.join(sorted(allowed))}"
    if name.endswith(".pb-c.h"):
        return None if mine == "wire" else "generated messages belong to wire"
    if name.startswith("snakepit/"):
        return None
    if quote == "<":
        return None
    file = target(path, name)
    if file is None:
        return "names no file of this tree"
    inside = file.relative_to(ROOT).parts
    if in_library:
        if inside[0] == "include":
            return None
        if inside[0] != "src":
            return "the library includes nothing outside src/ and include/"
        return layer_error(mine, inside[1])
    if inside[0] == mine or inside[0] == "include":
        return None
    if "/".join(inside[1:]) in PROGRAMS[mine]:
        return None
    return f"{mine} may use public headers only"


def files() -> list[Path]:
    found = []
    for folder in ("src", *PROGRAMS):
        found += [p for p in sorted((ROOT / folder).rglob("*.[ch]"))
                  if "node_modules" not in p.parts]
    return found


def main() -> int:
    wrong = 0
    count = 0
    for path in files():
        if path.relative_to(ROOT).parts[0] == "src" and len(path.relative_to(ROOT).parts) == 2:
            continue  # a file directly in src/ belongs to no layer
        mine = owner(path)
        if path.relative_to(ROOT).parts[0] == "src" and mine not in (*LAYERS, "runtime"):
            print(f"{path.relative_to(ROOT)}: {mine} is not in the table of layers")
            wrong += 1
            continue
        text = path.read_text(encoding="utf-8")
        for at, line in enumerate(text.splitlines(), 1):
            match = INCLUDE.match(line)
            if match is None:
                continue
            count += 1
            error = include_error(path, match.group(1), match.group(2))
            if error:
                print(f"{path.relative_to(ROOT)}:{at}: {match.group(2)}: {error}")
                wrong += 1
    print(f"layers: {count} includes, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
