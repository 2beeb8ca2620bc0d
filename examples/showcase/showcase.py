# SPDX-License-Identifier: MIT
"""The showcase: seven demos that explain what they do while they do it.

    showcase.py [--list] [DEMO...]

Without a name a terminal gets a menu; anything else gets all demos, one after the
other. The exit status is 0 when everything was as the demos say, 1 when something was
not or a package is missing, 2 for a name that there is none of.
"""

import importlib
import importlib.util
import sys
import time

import snakepit
from stage import Stage

DEMOS = ("basic", "sessions", "streaming", "concurrent", "variables", "binary", "ml")
PACKAGES = {
    "numpy": "python3-numpy",
    "scipy": "python3-scipy",
    "sklearn": "python3-sklearn",
    "PIL": "python3-pil",
}


def load(name):
    return importlib.import_module(f"demos.{name}")


def missing(demo):
    """The Debian packages that a demo needs and that are not there."""
    needs = getattr(demo, "NEEDS", ())
    return [PACKAGES[name] for name in needs if importlib.util.find_spec(name) is None]


def run(name, stage):
    """Run one demo: whether all was well."""
    demo = load(name)
    packages = missing(demo)
    if packages:
        print(f"showcase: {name} needs {' '.join(packages)}: tools/setup showcase",
              file=sys.stderr)
        return False
    wrong_before = stage.wrong
    began = time.monotonic()
    stage.title(f"{DEMOS.index(name) + 1}. {demo.TITLE}")
    try:
        demo.run(stage)
    except snakepit.SnakepitError as error:
        stage.check(f"{error.code}: {error}", False)
    stage.show(f"{name} took {time.monotonic() - began:.1f} s")
    return stage.wrong == wrong_before


def run_all(names, stage):
    failed = [name for name in names if not run(name, stage)]
    print(f"\n{len(names) - len(failed)} of {len(names)} demos went well"
          + (f"; not: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def menu(stage):
    """Ask until the answer is q or the input ends."""
    status = 0
    while True:
        stage.title("snakepit showcase")
        for number, name in enumerate(DEMOS, 1):
            stage.show(f"{number}  {name:<11} {load(name).TITLE}")
        stage.show("a  all of them")
        stage.show("q  leave")
        try:
            answer = input("\nWhich one? ").strip().lower()
        except (EOFError, KeyboardInterrupt):
            print()
            return status
        if answer in ("q", "quit", "exit"):
            return status
        if answer in ("a", "all"):
            status |= run_all(DEMOS, stage)
        elif answer in DEMOS:
            status |= run_all([answer], stage)
        elif answer.isdigit() and 1 <= int(answer) <= len(DEMOS):
            status |= run_all([DEMOS[int(answer) - 1]], stage)
        elif answer:
            stage.show(f"there is no {answer!r}: a number, a name, a or q")


def main(words):
    stage = Stage()
    if words == ["--list"]:
        for name in DEMOS:
            print(f"{name:<11} {load(name).TITLE}")
        return 0
    unknown = [word for word in words if word not in (*DEMOS, "all")]
    if unknown:
        print(f"showcase: no demo {unknown[0]!r}: {', '.join(DEMOS)} or all",
              file=sys.stderr)
        return 2
    if words:
        return run_all(DEMOS if "all" in words else words, stage)
    if sys.stdin.isatty() and sys.stdout.isatty():
        return menu(stage)
    return run_all(DEMOS, stage)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
