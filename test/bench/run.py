#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Measure the product beside its comparators, in one run, and print a table.

    run.py --build DIR [--python PYTHON] [--only arrays]

Each figure is the median of repetitions that are interleaved: every repetition measures
everything once, so that a busy minute of the machine touches all of them alike; every
second one goes backwards. BENCH_LONG=1 takes more and longer repetitions. Results go to
standard output, to DIR/bench/results.json, whose keys README.md describes, and to
DIR/bench/results.html with plots.

Exits with 0 when everything was measured, whatever the figures say.
"""

import argparse
import contextlib
import json
import os
import platform
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

import arrays
import page

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

IN_FLIGHT = (1, 16, 64, 256)
THREADS = (1, 8, 64)
WORKERS = (1, 16, 100, 250)
MANY_WORKERS = 16
SERVER_START_S = 60
PROGRAM_S = 600

CALL_TARGETS = {
    "product": "snakepit, C API, 1 worker",
    "product_16": f"snakepit, C API, {MANY_WORKERS} workers",
    "listen": "our worker, C gRPC client",
    "grpcio_aio": "grpcio aio, C gRPC client",
    "grpcio_sync": "grpcio sync, C gRPC client",
    "raw": "bare socket, Python json",
    "node_ipc": "Node.js, IPC of child_process",
    "pool": "multiprocessing.Pool",
    "executor": "ProcessPoolExecutor",
}


class Plan:
    """How much of everything."""

    def __init__(self, is_long):
        self.repetitions = 9 if is_long else 3
        self.warm_ms = 500 if is_long else 200
        self.measure_ms = 3000 if is_long else 800
        self.chunks = 5_000_000 if is_long else 1_000_000
        self.comparator_chunks = 100_000 if is_long else 10_000
        self.long_chunks = 10_000_000

    @property
    def window(self):
        return ["--warm-ms", str(self.warm_ms), "--measure-ms", str(self.measure_ms)]


class Bench:
    def __init__(self, build, python, folder, plan):
        self.programs = build / "test" / "bench"
        self.worker = build / "bridges" / "python" / "snakepit_worker.py"
        self.python = python
        self.folder = Path(folder)
        self.plan = plan
        self.samples = {}
        self.environment = dict(os.environ, BENCH_PYTHON=python)

    # ---- running programs ----

    def run(self, program, *arguments):
        """What one of the C programs measured."""
        return self.ask(self.programs / f"bench-{program}", *arguments)

    def ask(self, *words):
        """What a command measured: its line of JSON."""
        command = [*map(str, words)]
        done = subprocess.run(
            command,
            env=self.environment,
            stdout=subprocess.PIPE,
            timeout=PROGRAM_S,
            check=False,
        )
        if done.returncode != 0:
            raise SystemExit(f"bench: status {done.returncode}: {' '.join(command)}")
        return json.loads(done.stdout)

    @contextlib.contextmanager
    def server(self, *command):
        """A server, from its first line of output on until the block ends."""
        process = subprocess.Popen(
            [self.python, *map(str, command)], stdout=subprocess.PIPE
        )
        try:
            readable, _, _ = select.select([process.stdout], [], [], SERVER_START_S)
            if not readable or not process.stdout.readline():
                raise SystemExit(f"bench: did not start: {' '.join(map(str, command))}")
            yield
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    def make_stubs(self):
        subprocess.run(
            [
                "protoc",
                f"--proto_path={ROOT / 'proto'}",
                f"--python_out={self.folder}",
                f"--grpc_python_out={self.folder}",
                "--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin",
                "snakepit/bridge.proto",
            ],
            check=True,
        )

    def add(self, group, name, at, measured):
        self.samples.setdefault((group, name, at), []).append(measured)

    # ---- what is measured; each runs once per repetition ----

    def pingpong(self):
        self.add("floor", "pingpong", 1, self.run("floor", "pingpong", *self.plan.window))

    def product(self):
        for k in IN_FLIGHT:
            self.add("calls", "product", k,
                     self.run("product", "calls", "--in-flight", k, *self.plan.window))

    def product_16(self):
        for k in (64, 256):
            self.add("calls", "product_16", k,
                     self.run("product", "calls", "--in-flight", k,
                              "--workers", MANY_WORKERS, *self.plan.window))

    def grpc_calls(self, name, path):
        for k in IN_FLIGHT:
            self.add("calls", name, k,
                     self.run("grpc-client", "calls", "--socket", path,
                              "--in-flight", k, *self.plan.window))

    def grpc_stream(self, name, path, chunks):
        self.add("stream", name, 1,
                 self.run("grpc-client", "stream", "--socket", path,
                          "--chunks", chunks))

    def listen(self):
        path = self.folder / "listen.sock"
        with self.server(self.worker, "--adapter", "showcase", "--listen",
                         f"unix:{path}"):
            self.grpc_calls("listen", path)

    def grpcio(self, kind):
        path = self.folder / f"{kind}.sock"
        with self.server(HERE / "grpcio_server.py", kind, self.folder, path):
            self.grpc_calls(f"grpcio_{kind}", path)
            self.grpc_stream(f"grpcio_{kind}", path, self.plan.comparator_chunks)

    def grpcio_aio(self):
        self.grpcio("aio")

    def grpcio_sync(self):
        self.grpcio("sync")

    def raw(self):
        path = self.folder / "raw.sock"
        path.unlink(missing_ok=True)
        with self.server(HERE / "raw_server.py", path):
            for k in IN_FLIGHT:
                self.add("calls", "raw", k,
                         self.run("raw-client", "--socket", path, "--in-flight", k,
                                  *self.plan.window))

    def others(self):
        """What Python and Node.js bring themselves."""
        commands = {"executor": [self.python, HERE / "pools.py", "executor"],
                    "pool": [self.python, HERE / "pools.py", "pool"]}  # fmt: skip
        node = shutil.which("node")
        if node is not None:
            commands["node_ipc"] = [node, HERE / "node_ipc.js"]
        for name, command in commands.items():
            for k in IN_FLIGHT:
                self.add("calls", name, k,
                         self.ask(*command, "--in-flight", k, *self.plan.window))

    def map(self):
        self.add("map", "product", 1, self.run("product", "map", "--measure-ms",
                                              self.plan.measure_ms))

    def execute(self):
        for threads in THREADS:
            self.add("execute", "product", threads,
                     self.run("product", "execute", "--threads", threads,
                              *self.plan.window))

    def product_stream(self, chunks):
        return self.run("product", "stream", "--adapter", HERE / "bench_adapter.py",
                        "--chunks", chunks)

    def arrays(self):
        arrays.measure(self)

    def stream(self):
        self.add("stream", "product", 1, self.product_stream(self.plan.chunks))

    def start(self):
        for workers in WORKERS:
            self.add("start", "floor", workers,
                     self.run("floor", "spawn", "--count", workers, "--", self.python,
                              "-I", "-S", "-c", "pass"))
            self.add("start", "product", workers,
                     self.run("product", "start", "--workers", workers))

    def measure(self, only):
        parts = [self.pingpong, self.product, self.grpcio_aio, self.raw, self.listen,
                 self.grpcio_sync, self.product_16, self.others, self.map, self.execute, self.stream,
                 self.start, self.arrays]
        if only is not None:
            parts = [part for part in parts if part.__name__ == only]
        for repetition in range(self.plan.repetitions):
            for part in parts if repetition % 2 == 0 else reversed(parts):
                note(f"repetition {repetition + 1} of {self.plan.repetitions}: "
                     f"{part.__name__}")
                part()
        if only is None:
            note(f"{self.plan.long_chunks} chunks")
            self.add("memory", "product", 1, self.product_stream(self.plan.long_chunks))
        note("")

    def median(self, group, name, at, key):
        measured = self.samples.get((group, name, at))
        return statistics.median(m[key] for m in measured) if measured else None


def note(text):
    """What is being done now, where somebody is watching."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


# ---- results ----


def machine(python):
    def ask(code):
        return subprocess.run([python, "-c", code], stdout=subprocess.PIPE, text=True,
                              check=True).stdout.strip()  # fmt: skip

    models = [line.split(":", 1)[1].strip()
              for line in Path("/proc/cpuinfo").read_text().splitlines()
              if line.startswith("model name")]
    return {
        "processors": os.cpu_count(),
        "model": models[0] if models else platform.machine(),
        "kernel": platform.release(),
        "python": ask("import platform; print(platform.python_version())"),
        "grpcio": ask("import grpc; print(grpc.__version__)"),
        "protobuf": ask(
            "import google.protobuf as p\n"
            "from google.protobuf.internal import api_implementation as a\n"
            "print(p.__version__, a.Type())"
        ),
    }


def ratio(a, b):
    return round(a / b, 2) if a is not None and b else None


def ratios(bench):
    def rate(name, k):
        return bench.median("calls", name, k, "rate")

    def p50(name, k):
        return bench.median("calls", name, k, "p50_us")

    pingpong = bench.median("floor", "pingpong", 1, "p50_us")
    stream = bench.median("stream", "product", 1, "rate")
    found = {
        "rate_64_vs_grpcio_aio": ratio(rate("product", 64), rate("grpcio_aio", 64)),
        "rate_64_vs_grpcio_sync": ratio(rate("product", 64), rate("grpcio_sync", 64)),
        "rate_64_vs_raw": ratio(rate("product", 64), rate("raw", 64)),
        "rate_64_vs_node_ipc": ratio(rate("product", 64), rate("node_ipc", 64)),
        "rate_64_vs_pool": ratio(rate("product", 64), rate("pool", 64)),
        "rate_64_vs_executor": ratio(rate("product", 64), rate("executor", 64)),
        "rate_64_worker_vs_grpcio_aio": ratio(rate("listen", 64), rate("grpcio_aio", 64)),
        "p50_1_vs_pingpong": ratio(p50("product", 1), pingpong),
        "p50_1_execute_vs_pingpong": ratio(
            bench.median("execute", "product", 1, "p50_us"), pingpong
        ),
        "p50_1_vs_grpcio_sync": ratio(p50("product", 1), p50("grpcio_sync", 1)),
        "stream_vs_grpcio_aio": ratio(
            stream, bench.median("stream", "grpcio_aio", 1, "rate")
        ),
        "stream_vs_grpcio_sync": ratio(
            stream, bench.median("stream", "grpcio_sync", 1, "rate")
        ),
    }
    for workers in WORKERS:
        found[f"start_{workers}_vs_floor"] = ratio(
            bench.median("start", "product", workers, "ready_ms"),
            bench.median("start", "floor", workers, "ms"),
        )
    found.update(arrays.ratios(bench, ratio))
    return found


# Ratio, what it must be, which way.
BARS = (
    ("rate_64_vs_grpcio_aio", 10, "at least"),
    ("p50_1_vs_pingpong", 1.5, "at most"),
)


def judge(value, bar, way):
    if value is None:
        return "not measured"
    met = value >= bar if way == "at least" else value <= bar
    return "met" if met else "NOT met"


def collect(bench, facts, began, load_before):
    medians = {}
    for (group, name, at), measured in bench.samples.items():
        entry = {
            key: statistics.median(m[key] for m in measured)
            for key, value in measured[0].items()
            if isinstance(value, (int, float)) and key not in ("in_flight", "workers")
        }
        entry["repetitions"] = len(measured)
        medians.setdefault(group, {}).setdefault(name, {})[str(at)] = entry
    return {
        "version": 1,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - began, 1),
        "machine": facts,
        "load_before": load_before,
        "load_after": os.getloadavg(),
        "plan": vars(bench.plan),
        "medians": medians,
        "ratios": ratios(bench),
        "titles": CALL_TARGETS,
        "samples": [
            {"group": group, "name": name, "at": at, "measured": measured}
            for (group, name, at), measured in bench.samples.items()
        ],
    }


def calls_table(bench):
    print("\n`add`: calls/s, p50 and p99 in microseconds, by calls in flight")
    print(f"  {'':30}" + "".join(f"{k:>26}" for k in IN_FLIGHT))
    for name, title in CALL_TARGETS.items():
        cells = ""
        for k in IN_FLIGHT:
            rate = bench.median("calls", name, k, "rate")
            if rate is None:
                cells += f"{'':>26}"
                continue
            p50 = bench.median("calls", name, k, "p50_us")
            p99 = bench.median("calls", name, k, "p99_us")
            cells += f"{rate:>10,.0f} {p50:>7,.0f} {p99:>7,.0f}"
        print(f"  {title:30}{cells}")
    pingpong = bench.median("floor", "pingpong", 1, "p50_us")
    p99 = bench.median("floor", "pingpong", 1, "p99_us")
    rate = bench.median("floor", "pingpong", 1, "rate")
    print(f"  {'64 bytes there and back, C':30}{rate:>10,.0f} {pingpong:>7,.0f} {p99:>7,.0f}")
    print("\n  processor time per call in microseconds, host and worker, by calls in flight")
    print(f"  {'snakepit, C API, 1 worker':30}" + "".join(
        f"{bench.median('calls', 'product', k, 'host_cpu_us'):>18,.2f}"
        f"{bench.median('calls', 'product', k, 'worker_cpu_us'):>8,.2f}"
        for k in IN_FLIGHT))  # fmt: skip
    rate = bench.median("map", "product", 1, "rate")
    print(f"\nsp_map, one thread that gives and takes in order: {rate:,.0f} calls/s")
    print("\nsp_execute: calls/s, p50 and p99 in microseconds, by threads that call")
    for threads in THREADS:
        rate, p50, p99 = (bench.median("execute", "product", threads, key)
                          for key in ("rate", "p50_us", "p99_us"))  # fmt: skip
        print(f"  {threads:>3} threads {rate:>18,.0f} {p50:>7,.0f} {p99:>7,.0f}")


def stream_table(bench):
    print("\nStreams of small chunks: chunks/s")
    for name in ("product", "grpcio_aio", "grpcio_sync"):
        rate = bench.median("stream", name, 1, "rate")
        print(f"  {name:12} {rate:>12,.0f}")
    memory = bench.samples[("memory", "product", 1)][0]
    print(f"  {memory['chunks']:,} chunks: resident KiB before and after: host "
          f"{memory['host_rss_before'] // 1024:,} {memory['host_rss_after'] // 1024:,}, "
          f"worker {memory['worker_rss_before'] // 1024:,} "
          f"{memory['worker_rss_after'] // 1024:,}")


def start_table(bench):
    print("\nStart: milliseconds from opening until all workers are ready, until each has "
          "answered,\nand to close; floor: as many bare interpreters at once")
    print(f"  {'workers':>8}{'ready':>10}{'answered':>10}{'floor':>10}{'ratio':>8}"
          f"{'close':>10}{'left':>6}")
    for workers in WORKERS:
        ready, answered, close, left = (
            bench.median("start", "product", workers, key)
            for key in ("ready_ms", "answered_ms", "close_ms", "processes_left")
        )
        floor = bench.median("start", "floor", workers, "ms")
        print(f"  {workers:>8}{ready:>10,.1f}{answered:>10,.1f}{floor:>10,.1f}"
              f"{ready / floor:>8.2f}{close:>10,.1f}{left:>6.0f}")


def report(bench, results):
    facts = results["machine"]
    print(f"{facts['processors']} x {facts['model']}, Linux {facts['kernel']}, Python "
          f"{facts['python']}, grpcio {facts['grpcio']}, protobuf {facts['protobuf']}")
    print(f"{results['date']}, {bench.plan.repetitions} repetitions, medians; load "
          f"{results['load_before'][0]:.2f} before, {results['load_after'][0]:.2f} after")
    calls_table(bench)
    stream_table(bench)
    start_table(bench)
    arrays.table(bench)
    print("\nRatios")
    bars = {name: (bar, way) for name, bar, way in BARS}
    for name, value in results["ratios"].items():
        line = f"  {name:30}{'-' if value is None else value:>10}"
        if name in bars:
            bar, way = bars[name]
            line += f"   {way} {bar}: {judge(value, bar, way)}"
        print(line)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=ROOT / "build")
    parser.add_argument("--python", default="/usr/bin/python3")
    parser.add_argument("--only", choices=["arrays"], help="measure no more than this")
    options = parser.parse_args()
    build = options.build.resolve()
    plan = Plan(os.environ.get("BENCH_LONG", "0") not in ("", "0"))

    began = time.monotonic()
    load_before = os.getloadavg()
    with tempfile.TemporaryDirectory(prefix="snakepit-bench-") as folder:
        bench = Bench(build, options.python, folder, plan)
        facts = machine(options.python)
        bench.make_stubs()
        bench.measure(options.only)
    if options.only == "arrays":
        arrays.table(bench)
        return 0
    results = collect(bench, facts, began, load_before)
    place = build / "bench" / "results.json"
    place.parent.mkdir(exist_ok=True)
    place.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    drawn = place.with_suffix(".html")
    drawn.write_text(page.page(results, CALL_TARGETS), encoding="utf-8")
    report(bench, results)
    print(f"\n{place} has every sample, {drawn.name} beside it plots; "
          f"{results['seconds']:.0f} seconds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
