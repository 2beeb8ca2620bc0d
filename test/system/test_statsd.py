# SPDX-License-Identifier: MIT
"""Metrics as StatsD: what the lines add up to is what was done."""

import collections
import re
import socket
import time

import daemons
import peers
import pytest
from cli_tool import snakepit

grpc = pytest.importorskip("grpc", reason="needs python3-grpcio")

LINE = re.compile(r"(web\.[\w.-]+):(-?[\d.e+-]+)\|(c|g|ms)(?:\|@([\d.e-]+))?")


class Server:
    """Adds up as a StatsD server does."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(peers.DEADLINE_S)
        self.port = self.socket.getsockname()[1]
        self.counters = collections.Counter()
        self.times = collections.Counter()
        self.gauges = {}

    def receive(self):
        data = self.socket.recv(65536)
        assert 0 < len(data) <= 1432
        for line in data.decode().split("\n"):
            name, value, kind, rate = LINE.fullmatch(line).groups()
            if kind == "g":
                self.gauges[name] = float(value)
            elif kind == "c":
                self.counters[name] += float(value)
            else:
                self.times[name] += round(1 / float(rate or 1))

    def until(self, is_there):
        end = time.monotonic() + peers.DEADLINE_S
        while not is_there():
            assert time.monotonic() < end, (self.counters, self.times, self.gauges)
            self.receive()


@pytest.fixture
def server():
    found = Server()
    yield found
    found.socket.close()


def settings(port):
    return [f"telemetry: {{statsd: '127.0.0.1:{port}', statsd_prefix: web, statsd_interval: 100ms}}"]


def test_lines_add_up_to_what_was_done(tmp_path, server, stubs):
    with daemons.running(tmp_path / "d", size=2, top=settings(server.port)) as daemon:
        with peers.connected(daemon.address) as client:
            for i in range(250):
                client.execute("add", {"a": i})
                if i == 100:  # in two rounds at least
                    server.until(lambda: server.counters["web.calls.default.add.SP-OK"] >= 101)
            with pytest.raises(grpc.RpcError):
                client.execute("fail")
        daemon.terminate()
        assert daemon.wait() == 0
        server.until(lambda: server.counters["web.calls.default.fail.SP-REMOTE"] >= 1
                     and server.counters["web.calls.default.add.SP-OK"] >= 250)
    assert server.counters["web.calls.default.add.SP-OK"] == 250
    assert server.times["web.call_duration_seconds.default.add"] == 250
    assert server.times["web.queue_wait_seconds.default"] == 251
    assert server.gauges["web.pool_queue_limit.default"] == 1000
    assert server.gauges["web.pool_workers_max.default"] == 2
    assert server.counters["web.worker_spawned.default"] == 2


def test_nobody_who_listens_is_no_trouble(tmp_path, server, stubs):
    port = server.port
    server.socket.close()
    with daemons.running(tmp_path / "d", size=1, top=settings(port)) as daemon:
        with peers.connected(daemon.address) as client:
            for i in range(300):
                assert client.execute("add", {"a": i}) == i + 1
        end = time.monotonic() + peers.DEADLINE_S
        while re.search(r'^snakepit_export_dropped_total{signal="statsd",reason="unreached"} 0$',
                        snakepit("metrics", "--connect", daemon.address).out, re.M):
            assert time.monotonic() < end
        daemon.terminate()
        assert daemon.wait() == 0


@pytest.mark.parametrize("address", ["localhost:8125", "127.0.0.1", "127.0.0.1:x", ":8125"])
def test_an_address_that_is_none_is_refused(tmp_path, address):
    with daemons.running(tmp_path / "d", wait=False, size=1,
                         environment={"SNAKEPIT_TELEMETRY_STATSD": address}) as daemon:
        assert daemon.wait() == 78
        assert "such as 127.0.0.1:8125" in daemon.log()
