# SPDX-License-Identifier: MIT
"""What a demo says and shows: 80 columns, colours only for a terminal that wants them.

A demo talks through a Stage. What should be true is said with `check()`, which counts
what is not; the showcase ends with status 1 then.
"""

import os
import sys
import textwrap

WIDTH = 80
BOLD, GREEN, RED, DIM = "1", "32", "31", "2"


class Stage:
    def __init__(self, out=None):
        self.out = out or sys.stdout
        self.wrong = 0
        self.is_terminal = self.out.isatty()
        self.has_colour = (
            self.is_terminal
            and not os.environ.get("NO_COLOR")
            and os.environ.get("TERM", "dumb") != "dumb"
        )

    def _paint(self, text, colour):
        return f"\033[{colour}m{text}\033[0m" if self.has_colour else text

    def _print(self, text=""):
        print(text, file=self.out, flush=True)

    def title(self, text):
        self._print()
        self._print(self._paint(text, BOLD))
        self._print(self._paint("=" * min(len(text), WIDTH), BOLD))

    def say(self, text):
        """A paragraph of explanation."""
        self._print()
        self._print(textwrap.fill(" ".join(text.split()), WIDTH))

    def code(self, text):
        """What is being done, as the program has it."""
        for line in textwrap.dedent(text).strip().splitlines():
            self._print(self._paint("    " + line, DIM))

    def show(self, label, value=""):
        """A result, cut where the line ends."""
        line = f"  {label}: {value}" if value != "" else f"  {label}"
        self._print(line if len(line) <= WIDTH else line[: WIDTH - 3] + "...")

    def bar(self, label, share, note=""):
        """A share of 1 as a bar of 30 places."""
        full = round(max(0.0, min(1.0, share)) * 30)
        self.show(f"{label:<16.16} [{'#' * full}{'.' * (30 - full)}] {note}")

    def check(self, what, is_true):
        """Something that must be so."""
        word = self._paint("ok", GREEN) if is_true else self._paint("WRONG", RED)
        self._print(f"  {word}: {what}")
        self.wrong += not is_true
