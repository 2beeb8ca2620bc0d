#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Write the reference: everything public, with the comment that stands beside it.

    tools/reference.py BUILD_DIR

Pages in Markdown, in BUILD_DIR/docs/reference: one for each header of include/snakepit, one
for each Python package, one for the errors and one for the settings, and a table of all
names. What has no comment is a mistake: it is named, and the exit status is 1.
"""

import importlib
import inspect
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADERS = ROOT / "include" / "snakepit"
PACKAGES = {"snakepit": "python", "snakepit_bridge": "bridges/python"}
# At the start of a line: a comment, a macro with its lines, another directive.
COMMENT = re.compile(r"/\*.*?\*/", re.S)
MACRO = re.compile(r"#define (\w+)(?:[^\n]*\\\n)*[^\n]*")
DIRECTIVE = re.compile(r"#[^\n]*|extern \"C\" \{|\}$", re.M)
FUNCTION = re.compile(r"^(?:SP_API|static inline)\b[^;{]*?\b(sp_\w+)\(", re.S)
POINTER = re.compile(r"typedef [^;]*?\(\*(\w+)\)\(", re.S)
TYPE = re.compile(r"typedef .*?(\w+);\s*$", re.S)
CONSTANT = re.compile(r"^\s*(SP_\w+)", re.M)


@dataclass
class Item:
    """Declarations that stand together, and the comment above them."""

    comment: str
    code: str

    @property
    def names(self):
        found = []
        for code in re.split(r"\n(?=SP_API|static inline)", self.code):
            match = MACRO.match(code) or FUNCTION.match(code) or POINTER.match(code)
            match = match or (TYPE.match(code) if code.startswith("typedef") else None)
            if match:
                found.append(match[1])
            elif code.startswith("enum"):
                found += CONSTANT.findall(re.sub(COMMENT, "", code))
        return found


def declaration_end(text, at):
    """Behind the ';' that ends what begins there, or the '}' of a function."""
    depth = 0
    while True:
        comment = COMMENT.match(text, at)
        if comment:
            at = comment.end()
            continue
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        at += 1
        if depth == 0 and (text[at - 1] == ";" or text[at - 2 : at] == "}\n"):
            return at


def items_of(header):
    """The head comment of a header, and its items in order."""
    text = header.read_text(encoding="utf-8")
    head, comment, found, at = None, "", [], 0
    while at < len(text):
        if text[at] == "\n":
            if comment and text[at - 1 : at + 1] == "\n\n":
                comment = ""  # it belongs to nothing but its place
            at += 1
            continue
        match = COMMENT.match(text, at)
        if match:
            comment, at = match[0], match.end()
            if head is None and "SPDX" not in comment:
                head = comment
            continue
        match = MACRO.match(text, at)
        is_guard = match and (match[1].endswith("_H") or match[1] in ("X", "SP_API"))
        if not match or is_guard:
            other = DIRECTIVE.match(text, at)
            if other:
                at = other.end()
                continue
        end = match.end() if match else declaration_end(text, at)
        end = text.find("\n", end - 1)  # with a comment behind it
        code = text[at:end].rstrip()
        if not comment and found and text[at - 2 : at] != "\n\n":
            found[-1].code += "\n" + code
        else:
            found.append(Item(comment, code))
        comment, at = "", end
    return head, found


def words(comment):
    """The text of a comment, without its stars."""
    lines = comment.strip()[2:-2].strip().splitlines()
    return "\n".join(re.sub(r"^ ?\* ?", "", line) for line in lines)


def prose(text, links):
    """Paragraphs; "name  what it is" becomes a list, what is indented stays code."""
    out = []
    for paragraph in re.split(r"\n[ \t]*\n", text):
        lines = paragraph.splitlines()
        if all(line.startswith("    ") for line in lines):
            out.append(paragraph)
        elif re.match(r"\S+(?:, \S+)*  +\S", lines[0]):
            entries = re.sub(r"^(\S+(?:, \S+)*)  +", r"- `\1`: ", paragraph, flags=re.M)
            out.append(linked(re.sub(r"\n +", "\n  ", entries), links))
        else:
            out.append(linked("\n".join(line.strip() for line in lines), links))
    return "\n\n".join(out)


def linked(text, links):
    def link(match):
        place = links.get(match[1])
        return f"[`{match[0]}`]({place}#{match[1]})" if place else match[0]

    return re.sub(r"\b(sp_\w+)\(\)", link, text)


class Reference:
    def __init__(self, build):
        self.build = build
        self.place = build / "docs" / "reference"
        self.place.mkdir(parents=True, exist_ok=True)
        self.index = []  # (name, page, first sentence)
        self.missing = []

    def write(self, name, text):
        (self.place / name).write_text(text.rstrip() + "\n", encoding="utf-8")

    def note(self, name, page, text):
        if not re.sub(r"Since:? \S+", "", text).strip():
            self.missing.append(f"{page}: {name}")
        sentence = re.split(r"(?<=[.:]) |(?<=\.)$|\n\n", text.strip() + " ")[0]
        self.index.append((name, page, " ".join(sentence.split())))

    # ---- C ----

    def headers(self):
        parsed = {path: items_of(path) for path in sorted(HEADERS.glob("*.h"))}
        links = {name: f"{path.stem}.h.md" for path, (_, items) in parsed.items()
                 for item in items for name in item.names}  # fmt: skip
        for path, (head, items) in parsed.items():
            page = f"{path.stem}.h.md"
            out = [f"# snakepit/{path.name}", prose(words(head), links)]
            for item in items:
                text = words(item.comment) if item.comment else ""
                self.item(out, page, item, text, links)
            self.write(page, "\n\n".join(out))

    def item(self, out, page, item, text, links):
        names = item.names
        is_function = FUNCTION.match(item.code) is not None
        for name in names:
            # A type or a list of constants may say all inside of itself, and an opaque
            # type what it is in the head of its header.
            self.note(name, page, text if is_function else text or name)
        if names:
            shown = names[:1] if item.code.startswith("enum") else names
            out.append(heading(2, ", ".join(shown), *names))
        out.append(f"```c\n{item.code}\n```")
        if text:
            out.append(prose(text, links))

    # ---- Python ----

    def packages(self):
        for name, folder in PACKAGES.items():
            sys.path.insert(0, str(self.build / folder))
            package = importlib.import_module(name)
            page = f"{name}.md"
            out = [f"# {name}", inspect.getdoc(package) or ""]
            for entry in sorted(package.__all__):
                thing = getattr(package, entry)
                if not entry.startswith("_"):
                    self.python(out, page, package, entry, thing)
            self.write(page, "\n\n".join(out))

    def python(self, out, page, package, name, thing):
        text = inspect.getdoc(thing) or ""
        self.note(f"{package.__name__}.{name}", page, text)
        out += [heading(2, name + signature(thing), f"{package.__name__}.{name}"), text]
        if not inspect.isclass(thing):
            return
        if issubclass(thing, BaseException):
            out.append("Bases: " + ", ".join(f"`{base.__name__}`" for base in thing.__bases__))
        for member in sorted(own_members(thing, package.__name__)):
            static = inspect.getattr_static(thing, member)
            value = getattr(thing, member)
            text = inspect.getdoc(static if isinstance(static, property) else value) or ""
            whole = f"{package.__name__}.{name}.{member}"
            if callable(value):
                self.note(whole, page, text)
            out += [heading(3, member + signature(value), whole), text]

    # ---- tables ----

    def ask(self, *words_of_it):
        done = subprocess.run(
            [self.build / "snakepit", *words_of_it, "-o", "json"], cwd="/", check=True,
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)  # fmt: skip
        return json.loads(done.stdout)

    def settings(self):
        out = ["# Settings", "As `snakepit config explain` has them; *snakepit.yaml*(5) says more."]
        for key in self.ask("config", "explain")["keys"]:
            self.note(key["key"], "settings.md", key["text"])
            facts = [f"type `{key['type']}`"]
            facts += [f"{fact} `{key[fact]}`"
                      for fact in ("range", "default", "environment") if key[fact]]  # fmt: skip
            out += [heading(2, key["key"], key["key"]), key["text"], ", ".join(facts)]
        self.write("settings.md", "\n\n".join(out))

    def errors(self):
        out = ["# Errors", "As `snakepit explain` has them."]
        for name in self.ask("explain")["names"]:
            if name.startswith("SP-"):
                error = self.ask("explain", name)["error"]
                self.note(name, "errors.md", error["text"])
                again = "may succeed later" if error["retryable"] else "fails again"
                facts = (f"{again}; code `{error['code']}`, gRPC `{error['grpc_status']}`, "
                         f"exit `{error['exit']}`")  # fmt: skip
                out += [heading(2, name, name), f"{error['text']}: {error['hint']}", facts]
        self.write("errors.md", "\n\n".join(out))

    def contents(self):
        pages = sorted({page for _, page, _ in self.index})
        out = ["# Reference", " ".join(f"[{page[:-3]}]({page})" for page in pages)]
        rows = [f"| [{name}]({page}#{name}) | {text.replace('|', '/')} |"
                for name, page, text in sorted(set(self.index))]  # fmt: skip
        out.append("| name | |\n|---|---|\n" + "\n".join(rows))
        self.write("README.md", "\n\n".join(out))


def heading(level, title, *anchors):
    return "".join(f'<a id="{name}"></a>\n' for name in anchors) + f"\n{'#' * level} `{title}`"


def signature(thing):
    if not callable(thing) or (inspect.isclass(thing) and issubclass(thing, BaseException)):
        return ""
    try:
        return str(inspect.signature(thing))
    except (TypeError, ValueError):
        return ""


def own_members(cls, package):
    """Public names that the package's own classes define."""
    for name in {name for c in cls.__mro__ for name in vars(c)}:
        home = next((c for c in cls.__mro__ if name in vars(c)), None)
        if not name.startswith("_") and home and home.__module__.split(".")[0] == package:
            yield name


def main():
    if len(sys.argv) != 2:
        print("usage: tools/reference.py BUILD_DIR", file=sys.stderr)
        return 2
    reference = Reference(Path(sys.argv[1]).resolve())
    reference.headers()
    reference.packages()
    reference.settings()
    reference.errors()
    reference.contents()
    for name in reference.missing:
        print(f"without a comment: {name}")
    print(f"reference: {len(reference.index)} names, {len(reference.missing)} without a comment; "
          f"{reference.place}/README.md")  # fmt: skip
    return 1 if reference.missing else 0


if __name__ == "__main__":
    sys.exit(main())
