# SPDX-License-Identifier: MIT
"""The same `add` behind everything else that can be had: gRPC servers, a bare socket, the
pools of Python and Node.js, and web servers.

A peer that is not installed is named in the result, with what it needs: `tools/setup
bench` installs all of them.
"""

import shutil
import subprocess

from calls import rates_table
from harness import HERE, ROOT

IN_FLIGHT = (1, 16, 64, 256)
NODE = HERE / "node"

TITLES = {
    "listen": "our worker, C gRPC client",
    "grpcio_aio": "grpcio aio, C gRPC client",
    "grpcio_sync": "grpcio sync, C gRPC client",
    "raw": "bare socket, Python json",
    "node_ipc": "Node.js, IPC of child_process",
    "piscina": "piscina, worker_threads",
    "pool": "multiprocessing.Pool",
    "executor": "ProcessPoolExecutor",
    "uwsgi": "uWSGI, HTTP on a unix socket",
    "gunicorn": "gunicorn, HTTP, 4 threads",
}


def make_stubs(bench):
    subprocess.run(["protoc", f"--proto_path={ROOT / 'proto'}",
                    f"--python_out={bench.folder}", f"--grpc_python_out={bench.folder}",
                    "--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin",
                    "snakepit/bridge.proto"], check=True)  # fmt: skip


def grpc_calls(bench, name, path):
    for k in IN_FLIGHT:
        bench.add("calls", name, k,
                  bench.run("grpc-client", "calls", "--socket", path, "--in-flight", k,
                            *bench.plan.window))


def listen(bench):
    path = bench.folder / "listen.sock"
    with bench.server(bench.worker, "--adapter", bench.adapter, "--listen", f"unix:{path}"):
        grpc_calls(bench, "listen", path)


def grpcio(bench, kind):
    if not (bench.folder / "snakepit").exists():
        make_stubs(bench)
    path = bench.folder / f"{kind}.sock"
    with bench.server(HERE / "grpcio_server.py", kind, bench.folder, path):
        grpc_calls(bench, f"grpcio_{kind}", path)
        bench.add("stream", f"grpcio_{kind}", 1,
                  bench.run("grpc-client", "stream", "--socket", path, "--chunks",
                            bench.plan.peer_chunks))


def grpcio_aio(bench):
    grpcio(bench, "aio")


def grpcio_sync(bench):
    grpcio(bench, "sync")


def raw(bench):
    path = bench.folder / "raw.sock"
    path.unlink(missing_ok=True)
    with bench.server(HERE / "raw_server.py", path):
        for k in IN_FLIGHT:
            bench.add("calls", "raw", k,
                      bench.run("raw-client", "--socket", path, "--in-flight", k,
                                *bench.plan.window))


def own(bench, name, *command):
    """A peer that brings its own client."""
    for k in IN_FLIGHT:
        bench.add("calls", name, k,
                  bench.ask(*command, "--in-flight", k, *bench.plan.window))


def python_pools(bench):
    own(bench, "pool", bench.python, HERE / "pools.py", "pool")
    own(bench, "executor", bench.python, HERE / "pools.py", "executor")


def node(bench):
    program = shutil.which("node")
    if program is None:
        bench.missing.update(node_ipc="no node", piscina="no node")
        return
    own(bench, "node_ipc", program, HERE / "node_ipc.js")
    if (NODE / "node_modules" / "piscina").exists():
        own(bench, "piscina", program, NODE / "piscina.js")
    else:
        bench.missing["piscina"] = "not installed by npm"


def web(bench, name, program, *arguments):
    """A web server in Python with one process, under the same client for each."""
    found = shutil.which(program)
    if found is None:
        bench.missing[name] = f"no {program}"
        return
    path = bench.folder / f"{name}.sock"
    path.unlink(missing_ok=True)
    words = [str(word).replace("SOCKET", str(path)) for word in arguments]
    with open(bench.folder / f"{name}.log", "wb") as log:
        process = subprocess.Popen([found, *words], stdout=log, stderr=log, cwd=HERE,
                                   env=dict(bench.environment, PYTHONPATH=str(HERE)))
        try:
            for k in IN_FLIGHT:
                bench.add("calls", name, k,
                          bench.run("web-client", "--socket", path, "--in-flight", k,
                                    *bench.plan.window))
        finally:
            process.terminate()
            process.wait()


def uwsgi(bench):
    web(bench, "uwsgi", "uwsgi", "--plugins", "python3", "--http11-socket", "SOCKET",
        "--wsgi-file", HERE / "wsgi_app.py", "--master", "--processes", 1, "--listen",
        1024, "--disable-logging", "--need-app", "--die-on-term")


def gunicorn(bench):
    web(bench, "gunicorn", "gunicorn", "--bind", "unix:SOCKET", "--workers", 1,
        "--threads", 4, "--log-level", "error", "wsgi_app:application")


PARTS = [grpcio_aio, grpcio_sync, raw, listen, python_pools, node, uwsgi, gunicorn]


def table(bench):
    rates_table(bench, "calls", {"product": "snakepit, 1 worker", **TITLES}, IN_FLIGHT,
                "Peers: calls/s, p50 and p99 in microseconds, by calls in flight")
    for name, why in bench.missing.items():
        if name in TITLES:
            print(f"  {TITLES[name]:30}  not measured: {why}; tools/setup bench")
