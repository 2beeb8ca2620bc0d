# SPDX-License-Identifier: MIT
"""snakepit events: what a daemon's pit has gone through, once and as it goes on."""

import json

import daemons
import pytest
from cli_tool import Started, snakepit, wait_until

MORE = [{"name": "other", "adapter": "showcase", "size": 1}]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    with daemons.running(tmp_path_factory.mktemp("events"), more=MORE) as running:
        yield running


def events(daemon, *args):
    done = snakepit("events", "--connect", daemon.address, "-o", "json", *args)
    assert (done.code, done.err) == (0, "")
    return [json.loads(line) for line in done.lines]


def test_what_happened_before_is_told_in_order(daemon):
    told = events(daemon)
    assert [e["number"] for e in told] == sorted(e["number"] for e in told)
    names = [e["event"] for e in told]
    assert names.count("worker.ready") == 2 and names.count("pool.ready") == 2
    ready = next(e for e in told if e["event"] == "worker.ready")
    assert ready["metadata"]["pool"] in ("default", "other")
    assert ready["measurements"]["initialization_time"] > 0


def test_a_choice_of_them(daemon):
    assert {e["event"] for e in events(daemon, "--kind", "worker.ready, pool.")} >= {
        "worker.ready", "pool.ready"}
    assert {e["event"] for e in events(daemon, "--kind", "worker.ready")} == {"worker.ready"}
    [one] = events(daemon, "--kind", "worker.ready", "-p", "other")
    assert one["metadata"]["pool"] == "other"
    assert events(daemon, "--since", "1h", "--kind", "pool.ready") == events(
        daemon, "--kind", "pool.ready")
    assert events(daemon, "--since", "1ms", "--kind", "pool.ready") == []


def test_as_lines_for_people(daemon):
    done = snakepit("events", "--connect", daemon.address, "--kind", "worker.ready")
    assert done.code == 0 and len(done.lines) == 2
    time, name, *rest = done.lines[0].split(" ")
    assert time.endswith("Z") and name == "worker.ready"
    assert any(word.startswith("pool=") for word in rest)


@pytest.mark.parametrize("kind, code, words", [
    ("no.such", 2, "no.such"),
    ("call.dispatched", 2, "told too often to be kept"),
])
def test_what_cannot_be_shown(daemon, kind, code, words):
    done = snakepit("events", "--connect", daemon.address, "--kind", kind)
    assert done.out == "" and done.code != 0
    assert words in done.err


def test_all_there_are(daemon):
    rows = json.loads(snakepit("events", "--list", "-o", "json").out)
    kept = {row["event"]: row["kept"] for row in rows}
    assert len(kept) > 100 and kept["worker.died"] and not kept["call.dispatched"]
    assert all(row["meaning"] for row in rows)
    assert snakepit("events", "--list").lines[0].split() == ["EVENT", "KEPT", "MEANING"]


def test_what_goes_on_is_followed(daemon):
    session = "followed"
    with Started("events", "-f", "--kind", "session.", "--connect", daemon.address,
                 "-o", "json") as follower:
        def is_told():
            done = snakepit("session", "create", "--connect", daemon.address, session)
            assert done.code in (0, 5) or "already" in done.err
            snakepit("session", "end", session, "--connect", daemon.address)
            return any(e["metadata"].get("session") == session for e in events(
                daemon, "--kind", "session.deleted"))
        wait_until(is_told, "the end of a session")
        seen = []
        while not seen or seen[-1]["metadata"].get("session") != session:
            seen.append(json.loads(follower.process.stdout.readline()))
        assert seen[-1]["event"].startswith("session.")
