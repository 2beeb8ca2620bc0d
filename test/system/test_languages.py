# SPDX-License-Identifier: MIT
"""Adapters of several languages in one pit: a tool in Python calls one in JavaScript, that one
in Ruby, that one in R. The tools are those of the conformance list."""

import daemons
import peers
import pytest

grpc = pytest.importorskip("grpc", reason="needs python3-grpcio")

WORKERS = peers.HERE / "conformance"
ADAPTERS = {
    "node": str(WORKERS / "worker.js"),
    "ruby": f"{WORKERS / 'worker.rb'}:Conformance",
    "r": str(WORKERS / "worker.R"),
}

pytestmark = pytest.mark.skipif(
    not all((peers.BUILD / "bridges" / language).exists() for language in ADAPTERS),
    reason="a bridge is not built: the headers of Node.js, Ruby or R are not here",
)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    folder = tmp_path_factory.mktemp("languages")
    more = [{"name": name, "adapter": adapter, "size": 1} for name, adapter in ADAPTERS.items()]
    python = f"{WORKERS / 'worker.py'}:Conformance"
    with daemons.running(folder / "d", adapter=python, python=peers.PYTHON, more=more) as found:
        yield found


def through(pools, name, args):
    """The arguments of a call_worker whose call goes through these pools to a tool."""
    for pool in reversed(pools):
        name, args = "call_worker", {"pool": pool, "name": name, "args": args}
    return args


def chain(name, **args):
    return through(["node", "ruby", "r"], name, args)


@pytest.mark.parametrize("value", [
    7, 0.5, "snåke 🐍", None, True, [], [1], [[1, 2], [3, 4]], {}, {"a": {"b": [1, "x", None]}},
])  # fmt: skip
def test_a_value_goes_through_all_of_them_and_back(client, value):
    found = client.execute("call_worker", chain("echo", value=value))
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("pools", [["r", "ruby", "node"], ["ruby", "node", "r"], ["node", "r", "ruby"]])
def test_any_of_them_may_call_any_other(client, pools):
    assert client.execute("call_worker", through(pools, "add", {"a": 2, "b": 3})) == 5


def test_the_last_one_sees_the_deadline_of_the_first(client):
    left = client.execute("call_worker", chain("time_left"), timeout=40)
    assert 0 < left <= 41_000


def test_the_last_one_is_in_the_trace_of_the_first(client):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = [("traceparent", f"00-{trace}-00f067aa0ba902b7-01")]
    first = client.execute("metadata", headers=headers)["traceparent"].split("-")
    last = client.execute("call_worker", chain("metadata"), headers=headers)
    last = last["traceparent"].split("-")
    assert first[1] == last[1] == trace
    assert len({"00f067aa0ba902b7", first[2], last[2]}) == 3  # a span of its own each


def test_the_last_one_sees_the_session_of_the_first(client):
    assert client.execute("call_worker", chain("session"), session_id="s-1") == "s-1"


def test_a_failure_of_the_last_one_reaches_the_first_caller(client):
    with pytest.raises(grpc.RpcError) as caught:
        client.execute("call_worker", chain("fail", message="far away"))
    assert "far away" in caught.value.details()
    assert dict(caught.value.trailing_metadata())["snakepit-reason"] == "SP-REMOTE"
    assert client.execute("call_worker", chain("add", a=1, b=1)) == 2


def test_a_cancellation_reaches_the_last_one(client, notes):
    args = chain("sleep", path=str(notes.path), seconds=600)
    call = client.bridge.ExecuteTool.future(
        client.request("call_worker", args), timeout=peers.DEADLINE_S
    )
    notes.wait_for("started")
    call.cancel()
    notes.wait_for("cancelled")
    assert client.execute("call_worker", chain("add", a=1, b=1)) == 2


def test_a_deadline_reaches_the_last_one(client, notes):
    args = chain("sleep", path=str(notes.path), seconds=600)
    with pytest.raises(grpc.RpcError) as caught:
        client.execute("call_worker", args, timeout=3)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    notes.wait_for("started")
    notes.wait_for("cancelled")
    assert client.execute("call_worker", chain("add", a=1, b=1)) == 2
