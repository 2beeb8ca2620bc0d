# SPDX-License-Identifier: MIT
"""The checker finds what it is there to find: one doctored ledger per rule.

Each doctoring breaks one rule of a clean run, and the checker must name that rule and no
other. It is done to a ledger that is written here, and to that of a real short run.
"""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import check
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ.get("SNAKEPIT_BUILD", ROOT / "build")).resolve()

CLEAN = {
    "client.log": """\
send 1000 1 once 9000000 0
send 1001 2 again 9000000 0
send 1002 3 stream 9000000 3
send 1003 4 once 9000000 0
send 1004 5 once 9000000 0
send 1005 6 once 9000000 0
answer 2000 1 SP-OK 0 1 0 0
answer 2001 2 SP-OK 0 2 0 0
run 2002 3 0 2
answer 2003 3 SP-OK 0 1 3 0
answer 2004 4 SP-QUEUE-TIMEOUT 0 0 0 0
answer 2005 5 SP-REMOTE 2 1 0 0
answer 2006 6 SP-WORKER-DIED 1 1 0 71
acked 2007 s 1
acked 2008 s 2
""",
    "worker-71.log": "start 1500 2 1\nstart 1510 6 1\n",
    "worker-72.log": """\
start 1600 1 1
end 1601 1 1
start 1602 2 2
end 1603 2 2
start 1604 3 1
end 1605 3 1
start 1606 5 1
end 1607 5 1
""",
    "host.log": """\
seed 900 1
expect 901 event worker.died
expect 902 answer once SP-QUEUE-TIMEOUT
expect 903 answer once SP-REMOTE
expect 904 answer once SP-WORKER-DIED
before 905 closed.descriptors 9
before 906 bytes 100
fault 1550 kill 71
event 1551 worker.died 71 9 -1 killed
stored 3000 s 1
stored 3001 s 2
alive 3002 1 1
after 3003 closed.descriptors 9
after 3004 bytes 100
live 3005 0 1 1 5
""",
}


class Run:
    """The ledgers of a run, to be changed line by line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def lines(self, name: str) -> list[str]:
        return (self.folder / name).read_text(encoding="utf-8").splitlines()

    def write(self, name: str, lines: list[str]) -> None:
        (self.folder / name).write_text("".join(f"{line}\n" for line in lines),
                                        encoding="utf-8")

    def find(self, pattern: str) -> tuple[str, int]:
        """The file and number of the first line that looks like it."""
        for path in sorted(self.folder.glob("*.log")):
            for at, line in enumerate(self.lines(path.name)):
                if re.match(pattern, line):
                    return path.name, at
        raise AssertionError(f"no line {pattern}")

    def change(self, pattern: str, new: Callable[[list[str]], list[str] | None]) -> None:
        """Replace the first such line by what `new` makes of its words; None drops it."""
        name, at = self.find(pattern)
        lines = self.lines(name)
        words = new(lines[at].split(" "))
        lines[at:at + 1] = [] if words is None else [" ".join(words)]
        self.write(name, lines)

    def add(self, name: str, line: str) -> None:
        self.write(name, self.lines(name) + [line])

    def id_answered(self, kind: str, code: str) -> str:
        """A call of that kind that ended so."""
        kinds = {}
        for line in self.lines("client.log"):
            words = line.split(" ")
            if words[0] == "send":
                kinds[words[2]] = words[3]
            elif words[0] == "answer" and kinds[words[2]] == kind and words[3] == code:
                return words[2]
        raise AssertionError(f"no {kind} call ended with {code}")

    def drop_all(self, pattern: str) -> None:
        for path in self.folder.glob("*.log"):
            self.write(path.name, [line for line in self.lines(path.name)
                                   if not re.match(pattern, line)])


def with_word(at: int, value: str) -> Callable[[list[str]], list[str]]:
    return lambda words: words[:at] + [value] + words[at + 1:]


def lose_an_answer(run: Run) -> None:
    run.change(r"answer", lambda words: None)


def succeed_without_an_end(run: Run) -> None:
    number = run.id_answered("once", "SP-OK")
    run.drop_all(rf"end \d+ {number} ")


def begin_twice(run: Run) -> None:
    number = run.id_answered("once", "SP-OK")
    name, at = run.find(rf"start \d+ {number} ")
    run.add(name, run.lines(name)[at])


def deny_what_was_begun(run: Run) -> None:
    run.add("host.log", "expect 1 answer again SP-CLOSED")
    number = run.id_answered("again", "SP-OK")
    run.change(rf"answer \d+ {number} ", lambda w: [*w[:3], "SP-CLOSED", "0", *w[5:]])


def claim_what_was_not_ended(run: Run) -> None:
    run.add("host.log", "expect 1 answer again SP-REMOTE")
    number = run.id_answered("again", "SP-OK")
    run.drop_all(rf"end \d+ {number} ")
    run.change(rf"answer \d+ {number} ", lambda w: [*w[:3], "SP-REMOTE", "2", *w[5:]])


def lose_a_chunk(run: Run) -> None:
    number = run.id_answered("stream", "SP-OK")
    run.change(rf"run \d+ {number} ", lambda w: [*w[:4], str(int(w[4]) - 1)])
    last = run.lines("client.log")[run.find(rf"run \d+ {number} ")[1]].split(" ")[4]
    run.add("client.log", f"run 9 {number} {int(last) + 2} {int(last) + 2}")


def begin_too_late(run: Run) -> None:
    number = run.id_answered("once", "SP-OK")
    run.change(rf"send \d+ {number} ", lambda w: [*w[:4], "1", *w[5:]])
    run.change(rf"start \d+ {number} ", with_word(1, "200002"))


def lose_a_write(run: Run) -> None:
    run.add("client.log", "acked 9 other 1")


def lose_a_worker(run: Run) -> None:
    run.change(r"alive", lambda w: [*w[:3], str(int(w[2]) - 1)])


def leave_a_descriptor(run: Run) -> None:
    run.change(r"after \d+ closed.descriptors", lambda w: [*w[:3], str(int(w[3]) + 1)])


def die_for_no_reason(run: Run) -> None:
    run.add("host.log", "event 9 worker.died 1 11 -1 of itself")


def leave_a_byte(run: Run) -> None:
    run.change(r"after \d+ bytes", lambda w: [*w[:3], str(int(w[3]) + 1)])


VIOLATIONS = (
    lose_an_answer, succeed_without_an_end, begin_twice, deny_what_was_begun,
    claim_what_was_not_ended, lose_a_chunk, begin_too_late, lose_a_write, lose_a_worker,
    leave_a_descriptor, die_for_no_reason, leave_a_byte,
)


@pytest.fixture(scope="session")
def real_run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The ledgers of a storm of two hundred calls."""
    folder = tmp_path_factory.mktemp("run")
    subprocess.run([BUILD / "test/chaos/chaos", "storm", "--calls", "200", "--streams", "20",
                    "--kills", "4", "--evils", "2", "--hangs", "0", "--workers", "4",
                    "--folder", folder], check=True, timeout=120)
    return {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.log")}


@pytest.fixture(params=["written", "real"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    files = CLEAN if request.param == "written" else request.getfixturevalue("real_run")
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return Run(tmp_path)


def test_a_clean_run_breaks_no_rule(run: Run) -> None:
    verdict, ledgers = check.check(run.folder)
    assert verdict.rules_broken() == []
    assert not verdict.dead
    assert ledgers.calls


@pytest.mark.parametrize("rule", range(1, len(check.RULES) + 1))
def test_a_seeded_violation_is_caught_by_its_rule_alone(run: Run, rule: int) -> None:
    VIOLATIONS[rule - 1](run)
    verdict, _ = check.check(run.folder)
    assert verdict.rules_broken() == [rule]


def test_a_pool_that_does_not_heal_is_caught(run: Run) -> None:
    run.add("host.log", "live 9 3 1 2 10000")
    verdict, _ = check.check(run.folder)
    assert verdict.dead
    assert verdict.rules_broken() == []


def test_the_program_tells_by_its_exit_status(run: Run) -> None:
    command = [str(Path(check.__file__)), str(run.folder)]
    assert subprocess.run(["/usr/bin/python3", *command], check=False).returncode == 0
    begin_twice(run)
    assert subprocess.run(["/usr/bin/python3", *command], check=False).returncode == 1
