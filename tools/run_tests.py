#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Run the unit tests (Meson), the system tests and the bridge tests (pytest), and sum.

    tools/run_tests.py [--valgrind] [--unit-only] [--marked MARK] [BUILD_DIR]

The last line printed is `N passed, N failed`, with `, N skipped` behind it when tests
were skipped. The exit status is 0 only when nothing failed and something passed.
A test program counts with every test it reports, one that reports none counts as one.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = "/usr/bin/python3"
PYTEST_FOLDERS = (
    "test/system",
    "test/chaos",
    "bridges/python/tests",
    "bridges/python/host/tests",
)
VALGRIND = (
    "valgrind --quiet --fair-sched=yes --leak-check=full --errors-for-leak-kinds=definite,possible "
    "--show-leak-kinds=definite,possible --error-exitcode=99 --trace-children=no"
)
# What cmocka prints at the end of each group, and what TAP prints per test.
CMOCKA = re.compile(r"^\[\s*(PASSED|FAILED|SKIPPED)\s*\] (\d+) test\(s\)", re.M)
TAP = re.compile(r"^(not ok|ok) \d+(.*# skip)?", re.M | re.I)


def count_program(entry: dict) -> Counter:
    """What one test program of Meson's log contributes."""
    output = (entry.get("stdout") or "") + "\n" + (entry.get("stderr") or "")
    count = Counter()
    for word, number in CMOCKA.findall(output):
        count[word.lower()] += int(number)
    if not count:
        for word, skip in TAP.findall(output):
            kind = "skipped" if skip else "passed" if word.lower() == "ok" else "failed"
            count[kind] += 1
    result = entry["result"]
    if result in ("OK", "EXPECTEDFAIL"):
        if not count:
            count["passed"] = 1
    elif result == "SKIP":
        count = Counter(skipped=max(1, count["skipped"]))
    elif count["failed"] == 0:
        # It reported no failed test and failed all the same: crashed, leaked, hung.
        count["failed"] = 1
    return count


def run_meson(build: Path, valgrind: bool) -> Counter:
    base = "valgrind" if valgrind else "testlog"
    command = ["meson", "test", "-C", str(build), "--print-errorlogs", "--logbase", base]
    if valgrind:
        command += ["--wrap", VALGRIND, "--timeout-multiplier", "20"]
        command += ["--no-suite", "no-valgrind"]
    # Meson names the log after the wrapper too; whichever is written is the newest.
    logs = build / "meson-logs"
    for old in logs.glob(f"{base}*.json"):
        old.unlink()
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    count = Counter()
    for log in logs.glob(f"{base}*.json"):
        for line in log.read_text(encoding="utf-8").splitlines():
            count += count_program(json.loads(line))
    if status != 0 and count["failed"] == 0:
        count["failed"] += 1
    return count


def run_pytest(folder: str, build: Path, mark: str | None) -> Counter:
    if not (ROOT / folder).is_dir():
        return Counter()
    with tempfile.TemporaryDirectory() as place:
        report = Path(place) / "report.xml"
        command = [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        command += [f"--junitxml={report}", folder]
        if mark:
            command += ["-m", mark]
        environment = dict(os.environ, SNAKEPIT_BUILD=str(build))
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        if "SNAKEPIT_TEST_PRELOAD" in os.environ:
            # The library is loaded into an interpreter that is not instrumented, and
            # that leaves what it has allocated to the end of the process.
            environment["LD_PRELOAD"] = os.environ["SNAKEPIT_TEST_PRELOAD"]
            environment["SNAKEPIT_TEST_ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "")
            environment["ASAN_OPTIONS"] = "detect_leaks=0"
        if folder.startswith("bridges/python/host"):
            environment["PYTHONPATH"] = str(build / "python")
        elif folder.startswith("bridges/python"):
            environment["PYTHONPATH"] = str(build / "bridges" / "python")
        print(f"--- pytest {folder}", flush=True)
        status = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        count = Counter()
        if report.is_file():
            for suite in ElementTree.parse(report).getroot().iter("testsuite"):
                total, failed, errors, skipped = (
                    int(suite.get(name, "0"))
                    for name in ("tests", "failures", "errors", "skipped")
                )
                count["failed"] += failed + errors
                count["skipped"] += skipped
                count["passed"] += total - failed - errors - skipped
    nothing_collected = 5
    if status not in (0, nothing_collected) and count["failed"] == 0:
        count["failed"] += 1
    return count


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", nargs="?", default="build")
    parser.add_argument("--valgrind", action="store_true", help="unit tests, memcheck")
    parser.add_argument("--unit-only", action="store_true", help="Meson's tests only")
    parser.add_argument("--marked", metavar="MARK", help="of pytest's tests, only these")
    options = parser.parse_args()
    build = (ROOT / options.build).resolve()

    count = run_meson(build, options.valgrind)
    if not (options.valgrind or options.unit_only):
        for folder in PYTEST_FOLDERS:
            count += run_pytest(folder, build, options.marked)

    skipped = f", {count['skipped']} skipped" if count["skipped"] else ""
    sys.stderr.flush()
    print(f"{count['passed']} passed, {count['failed']} failed{skipped}", flush=True)
    return 0 if count["failed"] == 0 and count["passed"] > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
