# SPDX-License-Identifier: MIT
"""A daemon with a state folder: killed and started again, it has what it acknowledged."""

import json

import pytest

import daemons
import peers

grpc = pytest.importorskip("grpc", reason="needs python3-grpcio")

pytestmark = pytest.mark.usefixtures("stubs")

DEADLINE_S = peers.DEADLINE_S


class Kept:
    """One session of a daemon, as a client sees it."""

    def __init__(self, daemon):
        self.channel = grpc.insecure_channel(daemon.address)
        self.client = peers.Client(self.channel)

    def call(self, method, request_type, **fields):
        request = getattr(self.client.pb, request_type)(session_id="kept", **fields)
        return getattr(self.client.bridge, method)(request, timeout=DEADLINE_S)

    def any(self, value):
        found = self.client.pb.GetVariableResponse().variable.value
        found.value = json.dumps(value).encode()
        return found

    def set(self, value):
        found = self.call("SetVariable", "SetVariableRequest", variable_identifier="x",
                          value=self.any(value))
        assert found.success

    def get(self):
        found = self.call("GetVariable", "GetVariableRequest", variable_identifier="x")
        return json.loads(found.variable.value.value), found.variable.version


@pytest.mark.parametrize("durability", ["crash", "durable"])
def test_a_killed_daemon_has_its_sessions_again(tmp_path, durability):
    top = [f"state_dir: {tmp_path}/state"]
    with daemons.running(tmp_path / "d", top=top) as daemon:
        kept = Kept(daemon)
        kept.call("InitializeSession", "InitializeSessionRequest", durability=durability)
        kept.call("RegisterVariable", "RegisterVariableRequest", name="x", type="integer",
                  initial_value=kept.any(0))
        for value in range(1, 20):
            kept.set(value)
        kept.channel.close()
        daemon.process.kill()
        daemon.wait()
    with daemons.running(tmp_path / "d", top=top, notify=tmp_path / "notify2") as daemon:
        kept = Kept(daemon)
        assert kept.get() == (19, 19)
        kept.set(20)
        assert kept.get() == (20, 20)
        kept.channel.close()


def test_a_second_daemon_is_told_who_has_the_state(tmp_path):
    shared = {"SNAKEPIT_STATE_DIR": f"{tmp_path}/state"}
    with daemons.running(tmp_path / "a", environment=shared) as first:
        with daemons.running(tmp_path / "b", environment=shared, wait=False) as second:
            assert second.wait() != 0
            assert f"is in use by process {first.process.pid}" in second.log()
