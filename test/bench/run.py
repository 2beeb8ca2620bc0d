#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Measure the product beside the machine's floors and its peers, in one run.

    run.py [--build DIR] [--out DIR] [--python PYTHON] [--quick | --long] [--only SECTION]...

Each figure is the median of repetitions that are interleaved: every repetition measures
everything once, so that a busy minute of the machine touches all of them alike; every
second one goes backwards. Tables, ratios and bars go to standard output, every sample to
results.json, whose keys README.md describes, and plots to results.html, both in BUILD/bench
or where --out says.

Exits with 0 when everything was measured, whatever the figures say.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

import bars
import callers
import calls
import languages
import paces
import page
import payloads
import peers
import starting
import stored
import streaming
import watching
import weights
from harness import ROOT, Bench, Plan, note

SECTIONS = {
    "calls": calls,
    "peers": peers,
    "languages": languages,
    "callers": callers,
    "paced": paces,
    "streams": streaming,
    "sessions": stored,
    "start": starting,
    "payloads": payloads,
    "memory": weights,
    "watched": watching,
}


def machine(python):
    def ask(code):
        done = subprocess.run([python, "-c", code], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, check=False)
        return done.stdout.strip() or "none"

    models = [line.split(":", 1)[1].strip()
              for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
              if line.startswith("model name")]
    return {
        "processors": os.cpu_count(),
        "model": models[0] if models else platform.machine(),
        "kernel": platform.release(),
        "python": ask("import platform; print(platform.python_version())"),
        "grpcio": ask("import grpc; print(grpc.__version__)"),
        "protobuf": ask(
            "import google.protobuf as p\n"
            "from google.protobuf.internal import api_implementation as a\n"
            "print(p.__version__, a.Type())"
        ),
    }


def measure(bench, sections):
    """All parts of all sections, as often as planned; then what is measured once."""
    parts = [part for section in sections for part in section.PARTS]
    for repetition in range(bench.plan.repetitions):
        for part in parts if repetition % 2 == 0 else reversed(parts):
            note(f"repetition {repetition + 1} of {bench.plan.repetitions}: "
                 f"{part.__name__}")
            began = time.monotonic()
            part(bench)
            bench.seconds[part.__name__] = (bench.seconds.get(part.__name__, 0)
                                            + time.monotonic() - began)
    for section in sections:
        if hasattr(section, "once"):
            note(f"once: {section.__name__}")
            began = time.monotonic()
            section.once(bench)
            bench.seconds[f"{section.__name__}, once"] = time.monotonic() - began
    note("")


def collect(bench, facts, began, load_before):
    found = bars.ratios(bench)
    return {
        "version": 2,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - began, 1),
        "seconds_of": {name: round(value, 1) for name, value in bench.seconds.items()},
        "machine": facts,
        "load_before": load_before,
        "load_after": os.getloadavg(),
        "plan": vars(bench.plan),
        "missing": bench.missing,
        "medians": bench.medians(),
        "ratios": found,
        "bars": bars.judged(bench, found),
        "titles": {**calls.TITLES, **peers.TITLES, **languages.TITLES,
                   **callers.TITLES},
        "samples": [
            {"group": group, "name": name, "at": at, "measured": measured}
            for (group, name, at), measured in bench.samples.items()
        ],
    }


def report(bench, sections, results):
    facts = results["machine"]
    print(f"{facts['processors']} x {facts['model']}, Linux {facts['kernel']}, Python "
          f"{facts['python']}, grpcio {facts['grpcio']}, protobuf {facts['protobuf']}")
    print(f"{results['date']}, {bench.plan.repetitions} repetitions, medians; load "
          f"{results['load_before'][0]:.2f} before, {results['load_after'][0]:.2f} after")
    for section in sections:
        section.table(bench)
    bars.table(results["ratios"], results["bars"])


def write(folder, results):
    place = folder / "results.json"
    folder.mkdir(exist_ok=True)
    place.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    drawn = place.with_suffix(".html")
    drawn.write_text(page.page(results), encoding="utf-8")
    print(f"\n{place} has every sample, {drawn.name} beside it plots; "
          f"{results['seconds']:.0f} seconds")


def options_of(words):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=ROOT / "build")
    parser.add_argument("--out", type=Path, help="folder for the results")
    parser.add_argument("--python", default="/usr/bin/python3")
    much = parser.add_mutually_exclusive_group()
    much.add_argument("--quick", action="store_true", help="once, and little of it")
    much.add_argument("--long", action="store_true", help="nine long repetitions")
    parser.add_argument("--only", action="append", choices=SECTIONS, metavar="SECTION",
                        help=f"no more than this: {', '.join(SECTIONS)}")
    return parser.parse_args(words)


def main(words):
    options = options_of(words)
    build = options.build.resolve()
    plan = Plan("quick" if options.quick else "long" if options.long else "usual")
    sections = [SECTIONS[name] for name in options.only or SECTIONS]

    began = time.monotonic()
    load_before = os.getloadavg()
    with tempfile.TemporaryDirectory(prefix="snakepit-bench-") as folder:
        bench = Bench(build, options.python, folder, plan)
        measure(bench, sections)
    results = collect(bench, machine(options.python), began, load_before)
    report(bench, sections, results)
    write(options.out or build / "bench", results)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
