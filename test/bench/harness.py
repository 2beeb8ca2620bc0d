# SPDX-License-Identifier: MIT
"""What the sections of the benchmark share: how much of everything, running programs and
servers, and what was measured.

Every measurement is a dictionary of numbers under a group, a name and a number, such as
calls, product, 64. A figure is the median over the repetitions; its spread is what lies
between the least and the greatest, as a share of it.
"""

import contextlib
import json
import os
import select
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

SERVER_START_S = 60
PROGRAM_S = 300

# What a measurement repeats of its question.
GIVEN = ("in_flight", "workers", "chunks", "count", "bytes", "times", "wanted_rate")


class Plan:
    """How much of everything."""

    def __init__(self, kind):
        is_quick, is_long = kind == "quick", kind == "long"
        self.repetitions = 1 if is_quick else 9 if is_long else 3
        self.turns = 1 if is_quick else 3  # of what varies most, in each repetition
        self.warm_ms = 100 if is_quick else 500 if is_long else 150
        self.measure_ms = 200 if is_quick else 3000 if is_long else 500
        self.chunks = 200_000 if is_quick else 5_000_000 if is_long else 1_000_000
        self.peer_chunks = 5_000 if is_quick else 100_000 if is_long else 10_000
        self.long_chunks = 1_000_000 if is_quick else 10_000_000
        self.long_calls = 200_000 if is_quick else 10_000_000
        self.operations = 200_000 if is_quick else 2_000_000
        self.starts = (1, 16) if is_quick else (1, 16, 100, 250)

    @property
    def window(self):
        return ["--warm-ms", self.warm_ms, "--measure-ms", self.measure_ms]


def _values(measured, key):
    """Of all repetitions; a program that counted no call at all has no latencies."""
    return [m[key] for m in measured if m.get(key) is not None]


class Bench:
    """One run."""

    def __init__(self, build, python, folder, plan):
        self.build = build
        self.programs = build / "test" / "bench"
        self.worker = build / "bridges" / "python" / "snakepit_worker.py"
        self.adapter = HERE / "bench_adapter.py"
        self.python = python
        self.folder = Path(folder)
        self.plan = plan
        self.samples = {}
        self.seconds = {}  # how long each part has taken
        self.missing = {}  # name of a peer: why it was not measured
        self.environment = dict(
            os.environ, BENCH_PYTHON=python, BENCH_ADAPTER=str(self.adapter))

    # ---- running programs ----

    def run(self, program, *arguments):
        """What one of the C programs measured: its lines of JSON."""
        return self.ask(self.programs / f"bench-{program}", *arguments)

    def ask(self, *words, **environment):
        """What a command measured; one dictionary, or a list when it printed several."""
        command = [*map(str, words)]
        done = subprocess.run(command, env=dict(self.environment, **environment),
                              stdout=subprocess.PIPE, timeout=PROGRAM_S,
                              check=False)  # fmt: skip
        if done.returncode != 0:
            raise SystemExit(f"bench: status {done.returncode}: {' '.join(command)}")
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return lines[0] if len(lines) == 1 else lines

    def server(self, *command, **environment):
        """A server in Python, from its first line of output on until the block ends."""
        return self.started(self.python, *command, **environment)

    @contextlib.contextmanager
    def started(self, *command, **environment):
        """The same in any language."""
        process = subprocess.Popen(
            [*map(str, command)], stdout=subprocess.PIPE,
            env=dict(self.environment, **environment))  # fmt: skip
        try:
            readable, _, _ = select.select([process.stdout], [], [], SERVER_START_S)
            if not readable or not process.stdout.readline():
                raise SystemExit(f"bench: did not start: {' '.join(map(str, command))}")
            yield
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    # ---- what was measured ----

    def add(self, group, name, at, measured):
        self.samples.setdefault((group, name, at), []).append(measured)

    def add_each(self, group, name, numbers, measured):
        """A program that printed a line for each number."""
        lines = measured if isinstance(measured, list) else [measured]
        for at, line in zip(numbers, lines, strict=True):
            self.add(group, name, at, line)

    def median(self, group, name, at, key):
        values = _values(self.samples.get((group, name, at), []), key)
        return statistics.median(values) if values else None

    def names(self, group):
        return list(dict.fromkeys(name for g, name, _ in self.samples if g == group))

    def numbers(self, group):
        return sorted({at for g, _, at in self.samples if g == group})

    def medians(self):
        """group -> name -> number -> key: medians, and the spread of each."""
        found = {}
        for (group, name, at), measured in self.samples.items():
            entry, spread = {}, {}
            for key in measured[0]:
                values = _values(measured, key)
                if not values or key in GIVEN or not isinstance(values[0], (int, float)):
                    continue
                entry[key] = statistics.median(values)
                if len(values) > 1 and entry[key]:
                    spread[key] = round((max(values) - min(values)) / entry[key], 3)
            entry["repetitions"] = len(measured)
            entry["spread"] = spread
            found.setdefault(group, {}).setdefault(name, {})[str(at)] = entry
        return found


def ratio(a, b):
    return round(a / b, 2) if a is not None and b else None


def note(text):
    """What is being done now, where somebody is watching."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


# ---- tables ----


def cell(value, width, digits=0):
    return f"{'-':>{width}}" if value is None else f"{value:>{width},.{digits}f}"


def head(title, numbers, width, first=30):
    print(f"\n{title}")
    print(f"  {'':{first}}" + "".join(f"{number:>{width},}" for number in numbers))
