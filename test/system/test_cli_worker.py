# SPDX-License-Identifier: MIT
"""snakepit drain and kill: what becomes of a daemon's worker, and of its calls."""

import daemons
import pytest
from cli_tool import snakepit, wait_until

grpc = pytest.importorskip("grpc", reason="needs python3-grpcio")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    with daemons.running(tmp_path_factory.mktemp("workers"), size=2) as running:
        yield running


def pool_of(daemon):
    return snakepit("status", "-o", "json", "--connect", daemon.address).json["pools"][0]


def workers(daemon):
    """{slot: pid} of those that are there for calls."""
    return {one["slot"]: one["pid"] for one in pool_of(daemon)["worker_list"]
            if one["state"] in ("ready", "busy")}


def last_death(daemon):
    return [{"pid": 0}, *pool_of(daemon)["deaths"]][-1]


def held(client, path, session):
    """A call that holds a worker."""
    call = client.bridge.ExecuteTool.future(
        client.request("hold", {"path": str(path)}, session_id=session))
    wait_until(path.with_name(path.name + ".held").exists, "the call to run")
    return call


def busy(daemon):
    [one] = [w for w in pool_of(daemon)["worker_list"] if w["state"] == "busy"]
    return one["slot"], one["pid"]


@pytest.mark.parametrize("by_pid", [False, True])
def test_a_drained_worker_ends_its_call_first(daemon, client, tmp_path, by_pid):
    call = held(client, tmp_path / "x", "drained")
    slot, pid = busy(daemon)
    done = snakepit("drain", pid if by_pid else f"default/{slot}", "--connect", daemon.address)
    assert (done.code, done.err) == (0, "")
    assert done.out == (f"default/{slot} (pid {pid}) is drained: it ends its calls, "
                        "and a fresh one takes its place\n")
    # The relief is there while the old one still has its call.
    wait_until(lambda: pid not in workers(daemon).values() and len(workers(daemon)) == 2,
               "the relief")
    (tmp_path / "x.go").touch()
    assert call.result(daemons.DEADLINE_S).success
    wait_until(lambda: last_death(daemon)["pid"] == pid, "the end of the old one")
    assert last_death(daemon)["why"] == "recycled"


def test_a_killed_worker_takes_its_call_along(daemon, client, tmp_path):
    call = held(client, tmp_path / "x", "killed")
    slot, pid = busy(daemon)
    done = snakepit("kill", f"default/{slot}", "-o", "json", "--connect", daemon.address)
    assert done.json == {"version": 1, "did": "kill", "worker": f"default/{slot}", "pid": pid}
    with pytest.raises(grpc.RpcError) as lost:
        call.result(daemons.DEADLINE_S)
    assert "killed by whoever looks after it" in lost.value.details()
    wait_until(lambda: len(workers(daemon)) == 2, "the next one")
    assert last_death(daemon)["why"] == "operator" and last_death(daemon)["pid"] == pid


@pytest.mark.parametrize("command", ["drain", "kill"])
def test_what_it_does_not_take(daemon, command, tmp_path):
    where = ["--connect", daemon.address]
    for words, code, said in [
        ([], 2, f"{command} takes one worker, POOL/SLOT or its pid"),
        (["default/0", "default/1"], 2, "takes one worker"),
        (["default/9"], 4, 'there is no worker "default/9"; workers are POOL/SLOT'),
        (["1"], 4, "no worker is process 1"),
    ]:
        done = snakepit(command, *words, *where)
        assert (done.code, done.out) == (code, "") and said in done.err
    before = workers(daemon)
    done = snakepit(command, "default/0", "--connect", f"unix:{tmp_path}/none")
    assert done.code == 3 and workers(daemon) == before


def test_an_instance_that_is_typed_comes_before_an_address_of_the_environment(tmp_path):
    done = snakepit("kill", "--instance", "nobody", "default/0",
                    env={"SNAKEPIT_ADDRESS": f"unix:{tmp_path}/other.sock"})
    assert done.code != 0
    assert "no daemon runs" in done.err and "other.sock" not in done.err
