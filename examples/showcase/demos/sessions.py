# SPDX-License-Identifier: MIT
"""Sessions: workers that remember, and what happens when one of them dies."""

import os
import signal
import time

import snakepit

TITLE = "Session management: state and worker affinity"
SESSIONS = ("ann", "bob", "eve")


def run(stage):
    stage.say("""A session ties calls together. With the affinity strict_queue they all
              go to one worker, which may keep what it likes in its memory; here it is a
              counter for each session.""")
    stage.code('snakepit.open(adapter="showcase", size=3, affinity="strict_queue")')
    with snakepit.open(adapter="showcase", size=3, affinity="strict_queue") as pit:
        sessions = {name: pit.session(name) for name in SESSIONS}
        count(stage, sessions)
        affinity(stage, sessions)
        lose_a_worker(stage, pit, sessions["ann"])
        for session in sessions.values():
            session.delete()
        stage.check("no session is left", pit.sessions() == [])


def count(stage, sessions):
    # At the same time, so that each finds the others' workers taken.
    first = [s.submit("sleep_task", duration_ms=100) for s in sessions.values()]
    for call in first:
        call.result(timeout=60)
    for start, session in enumerate(sessions.values()):
        session.call("set_counter", value=start * 100)
    for _ in range(3):
        for session in sessions.values():
            session.call("increment_counter")
    values = {name: s.call("get_counter")["value"] for name, s in sessions.items()}
    stage.show("counters after three rounds", values)
    stage.check("each session has its own", list(values.values()) == [3, 103, 203])


def affinity(stage, sessions):
    stage.say("Six calls of each session, and the processes that answered them:")
    for name, session in sessions.items():
        pids = {session.call("get_worker_info")["worker_pid"] for _ in range(6)}
        stage.show(name, f"process {', '.join(map(str, pids))}")
        stage.check(f"{name} stays with one worker", len(pids) == 1)


def lose_a_worker(stage, pit, ann):
    stage.say("""What is in a worker's memory dies with it. A variable of the session
              does not: the host keeps it. We store a name, then kill the worker of ann
              while it streams.""")
    ann["name"] = "Ann Example"
    with ann.stream("infinite_stream", delay_ms=20) as endless:
        next(endless)  # it runs
        os.kill(busy_worker(pit), signal.SIGKILL)
        expect(stage, "SP-WORKER-DIED", lambda: list(endless))
    stage.say("The next call is told that the session's state is lost: once, so that "
              "the program can begin anew.")
    expect(stage, "SP-SESSION-WORKER-LOST", lambda: ann.call("get_counter"))
    stage.show("the name, from the host", ann["name"])
    ann.call("set_counter", value=1)
    stage.check("ann goes on with another worker",
                ann.call("get_counter")["value"] == 1 and ann["name"] == "Ann Example")


def expect(stage, code, action):
    try:
        action()
        stage.check(f"{code} is raised", False)
    except snakepit.SnakepitError as error:
        stage.show("the failure", str(error))
        stage.check(f"it is {error.code}", error.code == code)


def busy_worker(pit):
    """The process that has the call, as soon as one has it."""
    while True:
        for worker in pit.workers():
            if worker["state"] == "busy":
                return worker["pid"]
        time.sleep(0.005)
