# SPDX-License-Identifier: MIT
"""The daemon's HTTP listener: metrics and health for monitors that know no gRPC."""

import errno
import http.client
import json
import os
import re
import socket
import stat
import subprocess

import daemons
import peers
import pytest
from cli_tool import BUILD
from test_metrics import parsed

OPENMETRICS = "application/openmetrics-text"


def port_of(daemon):
    daemon.await_event("http.listening")
    return int(re.search(r"http://127\.0\.0\.1:(\d+)", daemon.log())[1])


def ask(where, path="/metrics", method="GET", **headers):
    """The status, the headers and the text of an answer."""
    if isinstance(where, int):
        connection = http.client.HTTPConnection("127.0.0.1", where, timeout=peers.DEADLINE_S)
    else:
        connection = http.client.HTTPConnection("unix", timeout=peers.DEADLINE_S)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(where))
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    with daemons.running(tmp_path_factory.mktemp("http"), size=1,
                         top=["http: {listen: 'tcp:127.0.0.1:0', clients: 4, timeout: 1s}"]) as found:
        yield found


@pytest.fixture(scope="module")
def port(daemon):
    return port_of(daemon)


def test_metrics_are_there_in_prometheus_format(port):
    status, headers, text = ask(port)
    assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert parsed(text)["snakepit_pool_workers_max", frozenset({("pool", "default")})].value == 1


@pytest.mark.parametrize("accept, is_open", [
    (OPENMETRICS, True),
    (f"{OPENMETRICS};version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", True),
    (f"{OPENMETRICS};q=0.2, text/plain;q=0.5", False),
    (f"{OPENMETRICS};q=0", False),
    ("text/plain", False),
    ("*/*", False),
    ("application/openmetrics-textual", False),
])
def test_the_format_is_the_one_that_the_client_prefers(port, accept, is_open):
    status, headers, text = ask(port, Accept=accept)
    assert status == 200
    assert headers["content-type"].startswith(OPENMETRICS if is_open else "text/plain")
    assert parsed(text, is_open)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/livez"])
def test_health_is_ok_while_a_worker_is_ready(port, path):
    assert ask(port, path)[::2] == (200, "ok\n")
    status, headers, text = ask(port, path, method="HEAD")
    assert (status, headers["content-length"], text) == (200, "3", "")


def test_what_is_not_there_is_not_found(port):
    for path in ("/", "/metrics/", "/favicon.ico", "/../etc/passwd"):
        assert ask(port, path)[0] == 404


def test_nothing_can_be_sent(port):
    status, headers, text = ask(port, method="POST")
    assert (status, headers["allow"], text) == (405, "GET, HEAD", "GET and HEAD only\n")


def test_idle_and_too_many_connections_do_not_stay(port):
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(8)]
    try:
        for one in idle:  # all are closed: some for their number, some for their time
            one.settimeout(peers.DEADLINE_S)
            try:
                assert one.recv(1) == b""
            except ConnectionResetError:
                pass
        assert ask(port, "/livez")[0] == 200
    finally:
        for one in idle:
            one.close()


def test_garbage_ends_only_its_own_connection(port):
    for garbage in (b"\x00" * 64, b"GET " + b"/" * 100_000, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", port)) as one:
            one.settimeout(peers.DEADLINE_S)
            try:
                one.sendall(garbage)
                one.shutdown(socket.SHUT_WR)
                while one.recv(4096):
                    pass
            except OSError as failure:  # it may be closed at any moment
                assert failure.errno in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN)
    assert ask(port, "/livez")[0] == 200


def test_a_unix_socket_is_for_its_user_and_goes_with_the_daemon(tmp_path):
    path = tmp_path / "web.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()  # the file stays, as after a kill
    with daemons.running(tmp_path / "d", size=1, top=[f"http: {{listen: 'unix:{path}'}}"]) as daemon:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert ask(path, "/readyz")[0] == 200
        daemon.terminate()
        assert daemon.wait() == 0
    assert not path.exists()


def test_it_is_unavailable_before_it_is_ready(tmp_path):
    never = BUILD / "test" / "system" / "never_ready"
    with daemons.running(tmp_path / "d", wait=False, size=1, runtime="exec",
                         command=[str(never)],
                         top=["http: {listen: 'tcp:127.0.0.1:0'}"]) as daemon:
        port = port_of(daemon)
        status, _, why = ask(port, "/readyz")
        assert status == 503 and "default" in why
        assert ask(port, "/livez")[::2] == (200, "ok\n")
        assert ask(port)[0] == 200


@pytest.mark.parametrize("listen, code, said", [
    ("tcp:0.0.0.0:9190", 0, "everybody who reaches this machine sees the metrics"),
    ("tcp:[::1]:9190", 0, ""),
    ("tcp:localhost:9190", 78, "the host is no number"),
    ("tcp:127.0.0.1", 78, "it ends in no port"),
    ("tcp:127.0.0.1:70000", 78, "it ends in no port"),
    ("unix:" + "/x" * 60, 78, "longer than 107 bytes"),
    ("127.0.0.1:9190", 78, "it is no address"),
])
def test_the_address_is_checked(tmp_path, listen, code, said):
    config = daemons.write_config(tmp_path / "d", size=1, top=[f"http: {{listen: {json.dumps(listen)}}}"])
    ran = subprocess.run([str(daemons.SNAKEPITD), "--config", str(config), "--check"],
                         capture_output=True, text=True, env=peers.ENVIRONMENT,
                         timeout=peers.DEADLINE_S)
    assert ran.returncode == code, ran.stderr
    assert said in ran.stderr


def test_an_address_in_use_ends_the_start(tmp_path, port):
    with daemons.running(tmp_path / "d", wait=False, size=1,
                         top=[f"http: {{listen: 'tcp:127.0.0.1:{port}'}}"]) as daemon:
        assert daemon.wait() == 3
        assert "Address already in use" in daemon.log()
