#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Keep what type checkers read of the errors as the table in include/snakepit/error.h
has it: the classes of Python's `snakepit.errors`, and the codes in the declarations for
TypeScript. At run time both come from the table itself. And let every bridge give a
code the same class, and none name a code that the table has not.

    tools/error_types.py [--update]

Without --update: say what differs, and fail.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = ROOT / "include/snakepit/error.h"
PYTHON = ROOT / "bridges/python/host/src/snakepit"
STUB = PYTHON / "errors.pyi"
TYPESCRIPT = ROOT / "bridges/node/index.d.ts"
NAMING = (".py", ".pyi", ".js", ".ts", ".rb", ".R", ".c", ".h", ".md")
TESTS = {"test", "tests"}
NO_ROW = {"SP-OK", "SP-UNKNOWN"}  # sp_error_name() gives them for what has none
BEGIN, END = "// codes: tools/error_types.py --update\n", "// end of codes\n"

sys.path.insert(0, str(ROOT / "bridges/python/src/snakepit_bridge"))
import _error_classes  # noqa: E402


def rows():
    """(code, category) of each row, and the words of the categories by their names."""
    text = HEADER.read_text(encoding="utf-8")
    tables = text.split("#define SP_CATEGORY_TABLE(X)")[1]
    words = dict(re.findall(r'X\((\w+), "(\w+)",', tables.split("\n\n")[0]))
    errors = text.split("#define SP_ERROR_TABLE(X)")[1].split("\n\n")[0]
    found = re.findall(r"X\((\w+),\s*-\d+,\s*(\w+),", errors)
    return [("SP-" + name.replace("_", "-"), words[kind]) for name, kind in found]


def stub():
    """The text of errors.pyi."""
    source = (PYTHON / "_errors.py").read_text(encoding="utf-8")
    own = re.findall(r"^class (\w+Error)\(", source, re.M)
    by_category = dict(re.findall(r'^    "(\w+)": (\w+Error),$', source, re.M))
    by_code = dict(re.findall(r'^    "(SP-[\w-]+)": (\w+Error),$', source, re.M))
    lines = ["# SPDX-License-Identifier: MIT", "from . import ("]
    lines += [f"    {name} as {name}," for name in sorted(own)] + [")", ""]
    for code, category in sorted(rows()):
        name = _error_classes.name_of(code, "Error")
        if name not in own:
            base = by_code.get(code) or by_category[category]
            lines.append(f"class {name}({base}): ...")
    return "\n".join(lines) + "\n"


def codes():
    """The declarations for TypeScript."""
    names = "".join(f"\n    | '{code}'" for code, _ in sorted(rows()))
    kinds = "".join(f"\n    | '{word}'" for word in sorted({word for _, word in rows()}))
    return (
        f"{BEGIN}export type ErrorCode ={names};\n"
        f"export type ErrorCategory ={kinds};\n{END}"
    )


# Where a bridge says which of its classes is whose: its file, and the form of a pair.
GROUPS = {
    "python/src/snakepit_bridge/errors.py": r'^    "(SP-[\w-]+)": (\w+),$',
    "node/lib/errors.js": r"^  '(SP-[\w-]+)': '(\w+)',$",
    "ruby/lib/snakepit_bridge/errors.rb": r'"(SP-[\w-]+)" => (\w+)',
    "r/R/context.R": r'"(SP-[\w-]+)" = "(\w+)"',
}


def groups(file):
    """{code: class} as a bridge has it, R's names written as the others'."""
    text = (ROOT / "bridges" / file).read_text(encoding="utf-8")
    return {
        code: name if name[0].isupper() else name.title().replace("_", "")
        for code, name in re.findall(GROUPS[file], text, re.M)
    }


def odd_groups():
    """(file, code, what the first of them has, what this one has)."""
    first = groups(next(iter(GROUPS)))
    for file in GROUPS:
        here = groups(file)
        for code in sorted(first.keys() | here.keys()):
            if first.get(code) != here.get(code):
                yield file, code, first.get(code), here.get(code)


def strangers():
    """(path, code) of each code that a bridge names and the table has not."""
    known = {code for code, _ in rows()} | NO_ROW
    for path in sorted((ROOT / "bridges").rglob("*")):
        if path.suffix in NAMING and not TESTS & set(path.relative_to(ROOT).parts):
            named = re.findall(r"\bSP-[A-Z]+(?:-[A-Z]+)*", path.read_text("utf-8"))
            yield from ((path, code) for code in sorted(set(named) - known))


def main(arguments):
    declared = TYPESCRIPT.read_text(encoding="utf-8")
    before, _, rest = declared.partition(BEGIN)
    after = rest.partition(END)[2]
    wanted = {STUB: stub(), TYPESCRIPT: before + codes() + after}
    wrong = 0
    for path, text in wanted.items():
        found = path.read_text(encoding="utf-8") if path.exists() else ""
        if found == text:
            continue
        if "--update" in arguments:
            path.write_text(text, encoding="utf-8")
        else:
            print(f"{path.relative_to(ROOT)}: run tools/error_types.py --update")
            wrong += 1
    odd = list(odd_groups())
    for file, code, wanted_class, found_class in odd:
        print(f"bridges/{file}: {code} is {found_class}, not {wanted_class}")
    unknown = list(strangers())
    for path, code in unknown:
        print(f"{path.relative_to(ROOT)}: {code} is no code of the table")
    print(
        f"error types: {len(rows())} codes, {wrong} files that differ, "
        f"{len(odd)} classes that do, {len(unknown)} codes that are none"
    )
    return wrong > 0 or len(odd) > 0 or len(unknown) > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
