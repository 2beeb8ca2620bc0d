#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Read the ledgers of a run and say whether it kept what is promised.

    check.py FOLDER

Nothing of the product runs here: only what clients, workers and the host noted at the
time. Lines are `WORD TIME ...`, the time in microseconds of one clock.

client.log
    send T ID KIND DEADLINE CHUNKS   before a call; KIND: once, again (idempotent),
                                     stream, restream (an idempotent stream);
                                     DEADLINE in the same clock, 0: none
    run T ID FIRST LAST              of a stream: chunks FIRST..LAST came one by one
    answer T ID CODE EXECUTED ATTEMPTS CHUNKS PID
                                     how it ended; EXECUTED: 0 no, 1 unknown, 2 yes
    acked T SESSION SEQ              a durable write was acknowledged
worker-PID.log
    start T ID ATTEMPT, end T ID ATTEMPT     around the side effect
    misdeed T ID WHAT PID                    a death to come is no accident
host.log
    seed T N                         how to repeat it
    expect T answer KIND CODE        this may happen here
    expect T event NAME
    fault T KIND PID                 done by the nemesis
    event T NAME PID SIGNAL EXIT TEXT
    stored T SESSION SEQ             found after a restart, in the store's order
    alive T CONFIGURED FOUND         worker processes
    before T NAME COUNT, after T NAME COUNT  things that must not grow; `bytes` exactly;
                                     each `after` is compared with the last `before`
    live T QUEUED READY WORKERS MS   after the faults stopped: how soon all was well
"""

import argparse
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

RULES = (
    "every call has exactly one answer",
    "a call that succeeded was carried out",
    "what is not idempotent is begun once at most",
    "executed = no: it was never begun",
    "executed = yes: it was carried out",
    "chunks come without a gap, and the end behind them",
    "nothing begins after its deadline or its cancellation",
    "acknowledged writes are there, in order",
    "as many workers live as are configured",
    "nothing is left: descriptors, processes, files",
    "nothing unexpected happened",
    "every byte was given back",
)
OK = "SP-OK"
STREAMS = ("stream", "restream")
AT_MOST_ONCE = ("once", "stream")
EXECUTED_NO, EXECUTED_YES = 0, 2
# How long the word that a call is over may take to its worker.
SLACK_US = 100_000
# Events that need a reason; the others only tell the course of things.
ALERTS = {
    "warning", "worker.died", "health.failed", "recycle.failed", "recycle.loop",
    "breaker.opened", "call.poisoned", "pool.saturated", "unknown",
}
# The cause of death of workers whose guard was killed, those included that nobody could
# name at that moment.
WITH_THE_GUARD = "ended with the guard process"
SHOWN_MAX = 5


@dataclass
class Call:
    kind: str
    deadline: int
    chunks: int
    sent: int
    sends: int = 1
    answers: list = field(default_factory=list)
    runs: list = field(default_factory=list)
    starts: list = field(default_factory=list)
    ends: int = 0


@dataclass
class Answer:
    time: int
    code: str
    executed: int
    attempts: int
    chunks: int
    pid: int


class Ledgers:
    """Everything that was noted, by what it is about."""

    def __init__(self, folder: Path) -> None:
        self.calls: dict[int, Call] = {}
        self.strays: list[str] = []
        self.acked: dict[str, list[int]] = defaultdict(list)
        self.stored: dict[str, list[int]] = defaultdict(list)
        self.expected: set[tuple[str, ...]] = set()
        self.doomed: set[int] = set()
        self.faults: Counter = Counter()
        self.events: list[tuple[str, int, str]] = []
        self.alive: list[tuple[int, int]] = []
        self.before: dict[str, int] = {}
        self.compared: list[tuple[str, int | None, int]] = []
        self.live: list[tuple[int, int, int, int]] = []
        self.seed = "none"
        for name in ["client.log", "host.log"]:
            self.read(folder / name)
        for path in sorted(folder.glob("worker-*.log")):
            self.read(path)

    def read(self, path: Path) -> None:
        if not path.is_file():
            return
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                word, time, *rest = line.rstrip("\n").split(" ")
                getattr(self, "on_" + word)(int(time), rest)

    def call_of(self, what: str, number: str) -> Call | None:
        call = self.calls.get(int(number))
        if call is None:
            self.strays.append(f"{what} of call {number}, which nobody sent")
        return call

    def on_send(self, time: int, rest: list[str]) -> None:
        number = int(rest[0])
        if number in self.calls:
            self.calls[number].sends += 1
        else:
            self.calls[number] = Call(rest[1], int(rest[2]), int(rest[3]), time)

    def on_answer(self, time: int, rest: list[str]) -> None:
        call = self.call_of("answer", rest[0])
        if call is not None:
            call.answers.append(Answer(time, rest[1], *(int(word) for word in rest[2:6])))

    def on_run(self, time: int, rest: list[str]) -> None:
        call = self.call_of("chunk", rest[0])
        if call is not None:
            call.runs.append((int(rest[1]), int(rest[2])))

    def on_start(self, time: int, rest: list[str]) -> None:
        call = self.call_of("start", rest[0])
        if call is not None:
            call.starts.append(time)

    def on_end(self, time: int, rest: list[str]) -> None:
        call = self.call_of("end", rest[0])
        if call is not None:
            call.ends += 1

    def on_misdeed(self, time: int, rest: list[str]) -> None:
        self.faults[rest[1]] += 1
        self.doomed.add(int(rest[2]))

    def on_fault(self, time: int, rest: list[str]) -> None:
        self.faults[rest[0]] += 1
        self.doomed.add(int(rest[1]))

    def on_acked(self, time: int, rest: list[str]) -> None:
        self.acked[rest[0]].append(int(rest[1]))

    def on_stored(self, time: int, rest: list[str]) -> None:
        self.stored[rest[0]].append(int(rest[1]))

    def on_seed(self, time: int, rest: list[str]) -> None:
        self.seed = rest[0]

    def on_expect(self, time: int, rest: list[str]) -> None:
        self.expected.add(tuple(rest))

    def on_event(self, time: int, rest: list[str]) -> None:
        self.events.append((rest[0], int(rest[1]), " ".join(rest[2:])))

    def on_alive(self, time: int, rest: list[str]) -> None:
        self.alive.append((int(rest[0]), int(rest[1])))

    def on_before(self, time: int, rest: list[str]) -> None:
        self.before[rest[0]] = int(rest[1])

    def on_after(self, time: int, rest: list[str]) -> None:
        before = self.before.get(rest[0])
        self.compared.append((rest[0], before, int(rest[1])))

    def on_live(self, time: int, rest: list[str]) -> None:
        self.live.append(tuple(int(word) for word in rest[:4]))


class Verdict:
    """What was found against each rule, and how many things were looked at."""

    def __init__(self) -> None:
        self.broken: dict[int, list[str]] = {rule: [] for rule in range(1, len(RULES) + 1)}
        self.looked: Counter = Counter()
        self.latest_us = 0
        self.dead = False

    def look(self, rule: int, fine: bool, text: str) -> None:
        self.looked[rule] += 1
        if not fine:
            self.broken[rule].append(text)

    def rules_broken(self) -> list[int]:
        return [rule for rule, found in self.broken.items() if found]


def check_call(verdict: Verdict, number: int, call: Call) -> None:
    starts = len(call.starts)
    name = f"call {number} ({call.kind})"
    verdict.look(1, call.sends == 1 and len(call.answers) == 1,
                 f"{name}: sent {call.sends} times, {len(call.answers)} answers")
    if call.kind in AT_MOST_ONCE:
        verdict.look(3, starts <= 1, f"{name}: begun {starts} times")
    for answer in call.answers[:1]:
        if answer.code == OK:
            verdict.look(2, call.ends > 0, f"{name}: succeeded, and nobody carried it out")
        elif answer.executed == EXECUTED_NO:
            verdict.look(4, starts == 0,
                         f"{name}: {answer.code}, executed = no, begun {starts} times")
        elif answer.executed == EXECUTED_YES:
            verdict.look(5, call.ends > 0,
                         f"{name}: {answer.code}, executed = yes, and no end")
        if call.kind in STREAMS:
            check_chunks(verdict, name, call, answer)
    check_lateness(verdict, name, call)


def check_chunks(verdict: Verdict, name: str, call: Call, answer: Answer) -> None:
    came = sum(last - first + 1 for first, last in call.runs)
    whole = not call.runs or call.runs == [(0, came - 1)]
    complete = answer.code != OK or came == call.chunks
    verdict.look(6, whole and complete and came == answer.chunks,
                 f"{name}: {answer.code}, chunks {call.runs} of {call.chunks}, "
                 f"{answer.chunks} counted")


def check_lateness(verdict: Verdict, name: str, call: Call) -> None:
    limit = call.deadline or None
    for answer in call.answers:
        if answer.code == "SP-CANCELLED":
            limit = answer.time if limit is None else min(limit, answer.time)
    if limit is None:
        return
    late = max((start - limit for start in call.starts), default=0)
    verdict.latest_us = max(verdict.latest_us, late)
    verdict.look(7, late <= SLACK_US, f"{name}: begun {late} us too late")


def check_store(verdict: Verdict, ledgers: Ledgers) -> None:
    for session, acked in ledgers.acked.items():
        stored = ledgers.stored[session]
        missing = sorted(set(acked) - set(stored))
        verdict.look(8, not missing, f"session {session}: writes {missing[:5]} are lost")
        verdict.look(8, stored == sorted(stored), f"session {session}: order {stored[:9]}")


def check_host(verdict: Verdict, ledgers: Ledgers) -> None:
    for configured, found in ledgers.alive:
        verdict.look(9, configured == found, f"{found} workers live, not {configured}")
    for name, before, after in ledgers.compared:
        if name == "bytes":
            verdict.look(12, after == before, f"{after} bytes in use, before {before}")
        else:
            verdict.look(10, before is not None and after <= before,
                         f"{name}: {after}, before {before}")
    for name in ledgers.before.keys() - {name for name, _, _ in ledgers.compared}:
        verdict.look(10, False, f"{name}: nobody looked again")


def check_expected(verdict: Verdict, ledgers: Ledgers) -> None:
    deaths = Counter()
    for name, pid, text in ledgers.events:
        verdict.look(11, name not in ALERTS or ("event", name) in ledgers.expected,
                     f"event {name} of {pid}: {text}")
        if name == "worker.died":
            deaths[pid] += 1
            doomed = pid in ledgers.doomed or (
                ledgers.faults["guard"] > 0 and text.endswith(WITH_THE_GUARD))
            verdict.look(11, doomed, f"{pid} died, and nobody did it: {text}")
    for number, call in ledgers.calls.items():
        for answer in call.answers[:1]:
            known = ("answer", call.kind, answer.code) in ledgers.expected
            verdict.look(11, answer.code == OK or known,
                         f"call {number} ({call.kind}): {answer.code}")
    for text in ledgers.strays:
        verdict.look(11, False, text)


def check(folder: Path) -> tuple[Verdict, Ledgers]:
    ledgers = Ledgers(folder)
    verdict = Verdict()
    for number, call in ledgers.calls.items():
        check_call(verdict, number, call)
    check_store(verdict, ledgers)
    check_host(verdict, ledgers)
    check_expected(verdict, ledgers)
    verdict.dead = any(queued or ready != workers
                       for queued, ready, workers, _ in ledgers.live)
    return verdict, ledgers


def print_calls(ledgers: Ledgers) -> None:
    kinds = defaultdict(Counter)
    for call in ledgers.calls.values():
        for answer in call.answers[:1]:
            kinds[call.kind][answer.code] += 1
    for kind, codes in sorted(kinds.items()):
        parts = ", ".join(f"{code} {count}" for code, count in codes.most_common())
        print(f"  {kind:9} {sum(codes.values()):7}: {parts}")
    faults = ", ".join(f"{name} {count}" for name, count in sorted(ledgers.faults.items()))
    deaths = sum(name == "worker.died" for name, _, _ in ledgers.events)
    print(f"  faults: {faults or 'none'}; {deaths} workers died; seed {ledgers.seed}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    verdict, ledgers = check(options.folder)
    print_calls(ledgers)
    for rule, text in enumerate(RULES, 1):
        found = verdict.broken[rule]
        state = f"BROKEN {len(found)} x" if found else "kept"
        print(f"  rule {rule:2} {text}: {state} of {verdict.looked[rule]}")
        for line in found[:SHOWN_MAX]:
            print(f"          {line}")
    for queued, ready, workers, ms in ledgers.live:
        print(f"  healed: {queued} queued, {ready} of {workers} ready after {ms} ms")
    print(f"  latest begin after a deadline or cancellation: {verdict.latest_us / 1000:.1f} ms")
    if not ledgers.calls:
        print("  there are no calls in these ledgers")
    print(f"  safety {'BROKEN' if verdict.rules_broken() else 'kept'}, "
          f"liveness {'BROKEN' if verdict.dead else 'kept'}")
    return 1 if verdict.rules_broken() or verdict.dead or not ledgers.calls else 0


if __name__ == "__main__":
    sys.exit(main())
