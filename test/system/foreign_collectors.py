# SPDX-License-Identifier: MIT
"""Collectors of OpenTelemetry that are not ours, each used where it is found.

rotel    what tools/setup installs from PyPI, or `rotel-agent` on the path, or $SNAKEPIT_ROTEL
otelcol  the OpenTelemetry Collector, with the receiver `otlp` and the exporter `otlphttp`:
         `otelcol` on the path, or $SNAKEPIT_OTELCOL

Each stands in front of a collector of the tests: what it cannot read it refuses, what it
does not know it drops, and what it has understood it writes anew.
"""

import contextlib
import json
import os
import shutil
import socket
import time

import peers

RELEASES = "`otelcol` of its releases, on the path or where SNAKEPIT_OTELCOL says"


class Missing(Exception):
    """There is no such collector here; the text says where it comes from."""


def program(variable, name, *places):
    """The path of a program, or None."""
    if os.environ.get(variable):
        return os.environ[variable]
    found = [str(place) for place in places if place.is_file()]
    return found[0] if found else shutil.which(name)


def rotel(place, port, sink):
    """The command of rotel."""
    found = program("SNAKEPIT_ROTEL", "rotel-agent", peers.PACKAGES / "rotel" / "rotel-agent")
    if found is None:
        raise Missing(f"needs rotel: {peers.INSTALL}")
    return [
        found, "start", "--exporter", "otlp", "--otlp-exporter-protocol", "http",
        "--otlp-exporter-endpoint", sink, "--otlp-http-endpoint", f"127.0.0.1:{port}",
        "--otlp-grpc-endpoint", f"127.0.0.1:{free_port()}",
    ]  # fmt: skip


def otelcol(place, port, sink):
    """The command of the OpenTelemetry Collector."""
    found = program("SNAKEPIT_OTELCOL", "otelcol")
    if found is None:
        raise Missing(f"needs the OpenTelemetry Collector: {RELEASES}")
    way = {"receivers": ["otlp"], "exporters": ["otlphttp"]}
    config = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}},
        "exporters": {"otlphttp": {"endpoint": sink}},
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"traces": way, "metrics": way},
        },
    }
    path = place / "otelcol.yaml"
    path.write_text(json.dumps(config))  # which is YAML
    return [found, "--config", f"file:{path}"]


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def await_listener(process, port, log):
    end = time.monotonic() + peers.DEADLINE_S
    while True:
        with contextlib.suppress(ConnectionError), \
                socket.create_connection(("127.0.0.1", port), peers.DEADLINE_S):
            return
        assert process.poll() is None and time.monotonic() < end, log.read_text()
        time.sleep(0.02)


@contextlib.contextmanager
def running(command_of, place, sink):
    """One of them, that sends on to the address `sink`; gives its own address."""
    port = free_port()
    command = command_of(place, port, sink)
    log = place / "log"
    # A sanitizer's library is not for them.
    bare = {k: v for k, v in peers.ENVIRONMENT.items() if k != "LD_PRELOAD"}
    with open(log, "wb") as out, \
            peers.running(*command, stdout=out, stderr=out, cwd=place, env=bare) as process:
        await_listener(process, port, log)
        yield f"http://127.0.0.1:{port}"
