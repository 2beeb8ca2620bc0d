# SPDX-License-Identifier: MIT
"""Doing what a page of docs/guide says, block by block, in a folder of its own.

A block is done by its kind:

sh      is run by the shell, in the folder and with the exported variables that the last
        one left. `exit=4` is how it must end, else 0; with `until=TEXT` it is left running
        once it has printed that, and ended with the page; `in=clone` begins in a clone
python  without a name is run as a program
text    is what the block before it has printed, errors too; "..." stands for anything
yaml    is a configuration, and must be sound
other   a file: the first line is a comment with its name and nothing else. C must
        compile without a warning. A later block must use the file

A block of a kind that is not here, or without a use, is a mistake in the page.
"""

import os
import re
import shlex
import signal
import subprocess
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from cli_tool import BUILD, DEADLINE, PYTHON, ROOT, environment, nobody_left

GUIDE = ROOT / "docs" / "guide"
FILES = {"awk", "bash", "c", "ini", "js", "json", "lua", "perl", "python", "r", "ruby", "yaml"}
NAME = re.compile(r"(?:#|//|--|/\*) ([\w./-]+\.\w+)(?: \*/)?\n")
STRICT = ("cc", "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only")


@dataclass
class Block:
    page: Path
    line: int
    kind: str
    text: str
    options: dict = field(default_factory=dict)

    @property
    def place(self):
        return f"{self.page.name}:{self.line}"

    @property
    def name(self):
        found = NAME.match(self.text)
        return found[1] if found and self.kind in FILES else None


def blocks(page):
    """The fenced blocks of a page, in order."""
    found, block = [], None
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if not line.startswith("```"):
            if block:
                block.text += line + "\n"
        elif block:
            found.append(block)
            block = None
        else:
            kind, *words = shlex.split(line[3:]) or [""]
            options = dict(word.split("=", 1) for word in words)
            block = Block(page, number, kind, "", options)
    assert block is None, f"{block.place}: a block without an end"
    return found


def fits(shown, printed):
    parts = [re.escape(part) for part in shown.rstrip().split("...")]
    return re.fullmatch(".*?".join(parts), printed.rstrip(), re.S) is not None


def is_used(name, text):
    """By its name, or as the configuration that commands find by themselves."""
    return Path(name).name in text or (name == "snakepit.yaml" and "snakepit" in text)


class Reader:
    """Somebody with the page before them and an empty folder."""

    def __init__(self, folder):
        self.folder = folder
        self.mark = uuid.uuid4().hex
        self.printed = None  # by the last block, until it is compared
        self.unused = {}  # name of a file: its block
        self.running = []
        tools = folder / ".tools"
        tools.mkdir()
        (tools / "python3").symlink_to(PYTHON)
        for name in ("home", "run", "tmp"):
            (folder / f".{name}").mkdir(mode=0o700)
        self.state, self.place = folder / ".state", folder / ".place"
        self.state.touch()
        self.place.write_text(f"{folder}\n", encoding="utf-8")
        self.environment = environment(
            self.mark,
            PATH=f"{BUILD}:{tools}:{os.environ['PATH']}",
            HOME=str(folder / ".home"),
            XDG_RUNTIME_DIR=str(folder / ".run"),
            TMPDIR=str(folder / ".tmp"),
            LD_LIBRARY_PATH=f"{BUILD}:{BUILD}/src/runtime",
            PKG_CONFIG_PATH=str(BUILD / "meson-uninstalled"),
            PYTHONPATH=str(BUILD / "python"),
            BUILD=str(BUILD),
            SNAKEPIT_STATE_DIR="",
        )
        for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
            self.environment.pop(name, None)

    @property
    def here(self):
        """Where the last block has left the shell."""
        return Path(self.place.read_text(encoding="utf-8").rstrip("\n"))

    def read(self, page):
        try:
            for block in blocks(page):
                self.do(block)
            for block in self.unused.values():
                raise AssertionError(f"{block.place}: nothing uses {block.name}")
        finally:
            self.leave()
        nobody_left(self.mark)

    def do(self, block):
        if block.kind == "text":
            self.compare(block)
            return
        self.printed = None
        self.unused = {n: b for n, b in self.unused.items() if not is_used(n, block.text)}
        if block.name:
            self.write(block)
        if block.kind == "sh" and "until" in block.options:
            self.start(block)
        elif block.kind == "sh":
            self.run(block)
        elif block.kind == "yaml":
            self.check(block)
        elif block.kind == "python" and not block.name:
            self.run(block, "python3", "-c", block.text)
        elif not block.name:
            raise AssertionError(f"{block.place}: nobody knows what to do with '{block.kind}'")

    def compare(self, block):
        assert self.printed is not None, f"{block.place}: there is nothing that has printed it"
        if not fits(block.text, self.printed):
            raise AssertionError(
                f"{block.place}: the page has\n{block.text}\nprinted was\n{self.printed}")
        self.printed = None

    def write(self, block):
        path = self.here / block.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")
        self.unused[block.name] = block
        if block.kind == "c":
            self.run(block, *STRICT, f"-I{ROOT / 'include'}", block.name)

    def check(self, block):
        path = self.here / (block.name or "unnamed.yaml")
        if not block.name:
            path.write_text(block.text, encoding="utf-8")
        self.run(block, "snakepit", "config", "check", str(path))
        self.printed = None

    def script(self, block):
        start = f"cd {shlex.quote(str(ROOT))}\n" if block.options.get("in") == "clone" else ""
        keep = f"{{ export -p; pwd >&3; }} >{self.state} 3>{self.place}"
        return f". {self.state}\ntrap '{keep}' EXIT\n{start}{block.text}"

    def run(self, block, *command):
        done = subprocess.run(
            command or ("sh", "-eu", "-c", self.script(block)),
            cwd=self.here, env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=5 * DEADLINE, check=False)
        self.printed = done.stdout.decode()
        wanted = int(block.options.get("exit", 0))
        if done.returncode != wanted:
            raise AssertionError(
                f"{block.place}: exit {done.returncode}, not {wanted}:\n"
                f"{block.text}\nprinted was\n{self.printed}")

    def start(self, block):
        log = self.folder / f".log{block.line}"
        with open(log, "wb") as file:
            process = subprocess.Popen(
                ("sh", "-eu", "-c", self.script(block)), cwd=self.here, env=self.environment,
                stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True)
        self.running.append(process)
        end = time.monotonic() + DEADLINE
        while block.options["until"] not in log.read_text(encoding="utf-8"):
            assert process.poll() is None, f"{block.place}: it has ended\n{log.read_text()}"
            assert time.monotonic() < end, f"{block.place}: waited\n{log.read_text()}"
            time.sleep(0.01)

    def leave(self):
        for process in self.running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(DEADLINE)
