# SPDX-License-Identifier: MIT
"""Health, calls, and failures that say what happened."""

import snakepit

TITLE = "Basic operations: health, calls, failures"


def run(stage):
    stage.say("""A pit is a runtime with pools of worker processes. This one has two
              Python workers with the adapter that comes along. Opening waits until they
              are ready.""")
    stage.code('pit = snakepit.open(adapter="showcase", size=2)')
    with snakepit.open(adapter="showcase", size=2) as pit:
        calls(stage, pit)
        failures(stage, pit)
        pids = [worker["pid"] for worker in pit.workers()]
    stage.say("Leaving the block ends the workers. Nothing outlives the program, "
              "however it ends: a guard process and the kernel see to that.")
    left = [pid for pid in pids if is_alive(pid)]
    stage.check(f"{len(left)} of {len(pids)} worker processes are left", not left)


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def calls(stage, pit):
    health = pit.health()
    stage.check("the pit is live and ready", health["live"] and health["ready"])
    for worker in pit.workers():
        stage.show(f"worker {worker['slot']}", f"{worker['runtime']}, "
                   f"pid {worker['pid']}, ready after {worker['ready'] * 1000:.0f} ms")
    stage.say("A call names a tool and its arguments; the answer is plain data.")
    stage.code('pit.call("add", a=5, b=3)')
    answer = pit.call("add", a=5, b=3)
    stage.show("answer", answer)
    stage.check("5 + 3 is 8", answer["result"] == 8)
    stage.show("ping", pit.call("ping"))


def failures(stage, pit):
    stage.say("""Failures are exceptions with a code, and they say whether the tool
              ran: a program can decide whether to try again.""")
    attempts = (
        ("a tool there is none of", "SP-NO-TOOL", ("subtract",), {"a": 5, "b": 3}),
        ("arguments that do not fit", "SP-BAD-ARGS", ("add",), {"a": "five", "b": 3}),
        ("an exception in the tool", "SP-REMOTE", ("error_demo",),
         {"error_type": "value"}),
        ("one minute of work in 0.3 s", "SP-TIMEOUT", ("sleep_task",),
         {"duration_ms": 60_000, "timeout": 0.3}),
    )  # fmt: skip
    for what, code, args, named in attempts:
        try:
            pit.call(*args, **named)
            stage.check(f"{what} fails", False)
        except snakepit.SnakepitError as error:
            stage.show(what, str(error))
            stage.check(f"{error.code}, did it run? {error.executed}",
                        error.code == code)
    stage.check("the next call is answered", pit.call("add", a=1, b=1)["result"] == 2)
