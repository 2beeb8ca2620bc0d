#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The profiles side by side: what threads and overlapping coroutines give, what they cost,
and whether a million calls over sixteen threads come back.

    test/bench/profiles.py [--calls N] [--json FILE] [--only ROW] BUILD

Rows, each with its bar:
  scaling    a tool that computes, two threads beside one, on a free-threaded Python: 1.8 x
  locked     the same on an interpreter with a lock: reported
  overlap    1,000 calls of asyncio.sleep(0.1) on one worker: under 0.5 s
  hammer     N calls over 16 threads of one free-threaded worker: none lost or wrong, and
             no more objects at the end than after a tenth of them
  memory     100 calls at once, as 100 processes and as 10 processes of 10 threads: the
             proportional memory (PSS) of all workers

A ratio is taken of pairs measured turn by turn, the best of each: what disturbs one
disturbs the other. The exit status is 1 when a bar is missed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ADAPTER = HERE / "profiles_adapter.py"
SCALING_BAR, OVERLAP_BAR_S = 1.8, 0.5
THREADS, WINDOW = 16, 256


def states_of(build):
    """The library from Python, as the system tests use it."""
    os.environ["SNAKEPIT_BUILD"] = str(build)
    sys.path.insert(0, str(ROOT / "test" / "system"))
    import states

    return states


def free_threaded(build):
    """The interpreter, or None with a word why."""
    made = subprocess.run(
        [ROOT / "tools" / "free_threaded", build],
        stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    return made.stdout.strip() if made.returncode == 0 else None


class Bench:
    def __init__(self, build, place):
        self.states = states_of(build)
        self.place = place
        self.rows = []
        self.missed = False

    def pit(self, python, size=1, **settings):
        lines = ["pools:", "  - name: p", f"    adapter: {json.dumps(str(ADAPTER))}"]
        lines += [f"    size: {size}", f"    python: {python}", "    queue: {max: 100000}"]
        lines += ["    call_timeout: 10m", "    queue_timeout: 10m"]
        lines += [f"    {key}: {value}" for key, value in settings.items()]
        config = self.place / "pit.yaml"
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return self.states.StatePit(config)

    def row(self, name, text, good=True, **figures):
        self.rows.append({"row": name, "good": bool(good), **figures})
        self.missed |= not good
        print(f"  {name:<9} {text}" + ("" if good else "   MISSED"), flush=True)


def together(pit, tool, arguments):
    """Start a call for each of the arguments, and take every result."""
    calls = [pit.begin(tool, one, None) for one in arguments]
    return [pit.result(call) for call in calls]


def rate(pit, at_once, count, work):
    """Calls per second with so many at once."""
    began, calls = time.monotonic(), []
    for _ in range(count):
        if len(calls) == at_once:
            pit.result(calls.pop(0))
        calls.append(pit.begin("compute", {"n": work}, None))
    for call in calls:
        pit.result(call)
    return count / (time.monotonic() - began)


def scaling(bench, name, python, bar):
    with bench.pit(python, profile="thread", threads=2) as pit:
        rate(pit, 2, 20, 20000)
        one = two = 0.0
        for _ in range(7):
            one = max(one, rate(pit, 1, 40, 20000))
            two = max(two, rate(pit, 2, 40, 20000))
    ratio = two / one
    text = f"1 thread {one:,.0f}/s, 2 threads {two:,.0f}/s: {ratio:.2f} x"
    good = bar is None or ratio >= bar
    bench.row(name, text, good, one=one, two=two, ratio=ratio)


def overlap(bench, python):
    with bench.pit(python, max_concurrency=1000) as pit:
        together(pit, "sleep", [{"seconds": 0}] * 1000)
        best = 1e9
        for _ in range(5):
            began = time.monotonic()
            together(pit, "sleep", [{"seconds": 0.1}] * 1000)
            best = min(best, time.monotonic() - began)
    text = f"1,000 x asyncio.sleep(0.1) on one worker: {best:.3f} s"
    bench.row("overlap", text, best < OVERLAP_BAR_S, seconds=best)


def hammer(bench, python, count):
    wrong = 0
    with bench.pit(python, profile="thread", threads=THREADS) as pit:
        began, calls, objects = time.monotonic(), [], None
        for n in range(count + WINDOW):
            if n >= WINDOW:
                sent, call = calls[n % WINDOW]
                wrong += pit.result(call) != [sent, {"text": f"call {sent}"}]
                if n - WINDOW == count // 10:
                    objects = pit.execute("objects")
            if n < count:
                entry = (n, pit.begin("echo", {"n": n}, None))
                if len(calls) < WINDOW:
                    calls.append(entry)
                else:
                    calls[n % WINDOW] = entry
        took = time.monotonic() - began
        grown = pit.execute("objects") - objects
        used = pit.execute("threads")
    good = wrong == 0 and grown < count / 100 + 2000
    text = (
        f"{count:,} calls over {used} threads in {took:.0f} s ({count / took:,.0f}/s): "
        f"{wrong} lost or wrong, {grown:+,} objects"
    )
    bench.row("hammer", text, good, calls=count, wrong=wrong, grown=grown, seconds=took)


def pss_kib(pids):
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def memory(bench, python):
    """100 calls at once, held until all are in, and what the workers have then."""
    found = {}
    for name, size, settings in (
        ("process", 100, {}),
        ("thread", 10, {"profile": "thread", "threads": 10}),
    ):
        gate = bench.place / f"gate-{name}"
        os.mkfifo(gate)
        with bench.pit(python, size, startup_timeout="5m", init_timeout="5m",
                       **settings) as pit:  # fmt: skip
            note = bench.place / f"in-{name}"
            note.mkdir()
            calls = [
                pit.begin("hold", {"gate": str(gate), "note": str(note / str(n))}, None)
                for n in range(100)
            ]
            while len(os.listdir(note)) < 100:
                time.sleep(0.01)
            pids = {int((note / entry).read_text()) for entry in os.listdir(note)}
            found[name] = (len(pids), pss_kib(pids) / 1024)
            descriptor = os.open(gate, os.O_RDWR)
            os.write(descriptor, b"x" * 100)
            for call in calls:
                pit.result(call)
            os.close(descriptor)
    (processes, many), (few, less) = found["process"], found["thread"]
    text = (
        f"100 calls at once: {processes} processes {many:,.0f} MiB, {few} processes of 10 "
        f"threads {less:,.0f} MiB (PSS): {many / less:.1f} x"
    )
    bench.row("memory", text, process_mib=many, thread_mib=less, ratio=many / less)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--json", help="where the rows are to be written")
    parser.add_argument("--only", action="append", help="a row; may be given again")
    options = parser.parse_args()
    build = Path(options.build).resolve()
    free, locked = free_threaded(build), "/usr/bin/python3"
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(build, Path(place))
        rows = {
            "locked": lambda: scaling(bench, "locked", locked, None),
            "overlap": lambda: overlap(bench, locked),
            "memory": lambda: memory(bench, free or locked),
        }
        if free is not None:
            rows["scaling"] = lambda: scaling(bench, "scaling", free, SCALING_BAR)
            rows["hammer"] = lambda: hammer(bench, free, options.calls)
        for name, run in rows.items():
            if not options.only or name in options.only:
                run()
    if options.json:
        Path(options.json).write_text(json.dumps(bench.rows, indent=1) + "\n")
    return 1 if bench.missed else 0


if __name__ == "__main__":
    sys.exit(main())
