# SPDX-License-Identifier: MIT
"""`add` in the workers of other languages, beside the stock gRPC of the same language: one
C client with the same bytes for all (grpc_client.c), one process each.

A peer that is not installed is named in the result.
"""

import shutil
import subprocess

from calls import rates_table
from harness import HERE, ROOT, ratio

IN_FLIGHT = (1, 64)
EXAMPLES = ROOT / "examples"
TITLES = {
    "node": "our worker in Node.js",
    "node_grpc": "grpc-js",
    "ruby": "our worker in Ruby",
    "ruby_grpc": "ruby-grpc, 200 threads",
    "r": "our worker in R",
}


def measure(bench, name, path):
    for k in IN_FLIGHT:
        bench.add("languages", name, k,
                  bench.run("grpc-client", "calls", "--socket", path, "--in-flight", k,
                            *bench.plan.window))


def node(bench):
    worker = bench.build / "bridges" / "node" / "snakepit_worker.js"
    if not worker.exists():
        bench.missing["node"] = "the bridge is not built: no node, or no headers of it"
        return
    path = bench.folder / "node.sock"
    path.unlink(missing_ok=True)
    with bench.started("node", worker, "--adapter", HERE / "bench_adapter.js", "--listen",
                       f"unix:{path}"):
        measure(bench, "node", path)


def node_grpc(bench):
    modules = ROOT / "test" / "system" / "node" / "node_modules"
    if not (modules / "@grpc" / "grpc-js").is_dir():
        bench.missing["node_grpc"] = "no @grpc/grpc-js: tools/setup installs it"
        return
    path = bench.folder / "node_grpc.sock"
    path.unlink(missing_ok=True)
    with bench.started("node", EXAMPLES / "node" / "grpc_worker.js", f"unix:{path}",
                       NODE_PATH=str(modules)):
        measure(bench, "node_grpc", path)


def ruby(bench):
    worker = bench.build / "bridges" / "ruby" / "snakepit_worker.rb"
    if not worker.exists():
        bench.missing["ruby"] = "the bridge is not built: no ruby-dev"
        return
    path = bench.folder / "ruby.sock"
    path.unlink(missing_ok=True)
    with bench.started("ruby", worker, "--adapter", HERE / "bench_adapter.rb", "--listen",
                       f"unix:{path}"):
        measure(bench, "ruby", path)


def ruby_grpc(bench):
    plugin = shutil.which("grpc_ruby_plugin")
    gem = ["ruby", "-e", "require 'grpc'"]
    if plugin is None or subprocess.run(gem, stderr=subprocess.DEVNULL, check=False).returncode:
        bench.missing["ruby_grpc"] = "no ruby-grpc or grpc_ruby_plugin"
        return
    stubs = bench.folder / "ruby"
    stubs.mkdir(exist_ok=True)
    subprocess.run(["protoc", f"--proto_path={ROOT / 'proto'}", f"--ruby_out={stubs}",
                    f"--grpc_out={stubs}", f"--plugin=protoc-gen-grpc={plugin}",
                    "snakepit/bridge.proto"], check=True)  # fmt: skip
    path = bench.folder / "ruby_grpc.sock"
    path.unlink(missing_ok=True)
    # It refuses what finds no thread waiting: far more threads than calls are needed.
    with bench.started("ruby", "-I", stubs, EXAMPLES / "ruby" / "grpc_worker.rb",
                       f"unix:{path}", THREADS="200"):
        measure(bench, "ruby_grpc", path)


def r(bench):
    worker = bench.build / "bridges" / "r" / "snakepit_worker.R"
    if not worker.exists():
        bench.missing["r"] = "the bridge is not built: no r-base-core"
        return
    path = bench.folder / "r.sock"
    path.unlink(missing_ok=True)
    with bench.started("Rscript", worker, "--adapter", HERE / "bench_adapter.R", "--listen",
                       f"unix:{path}"):
        measure(bench, "r", path)


PARTS = [node, node_grpc, ruby, ruby_grpc, r]


def ratios(bench):
    def rate(name):
        return bench.median("languages", name, 64, "rate")

    return {
        "node_rate_64_vs_grpc_js": ratio(rate("node"), rate("node_grpc")),
        "ruby_rate_64_vs_ruby_grpc": ratio(rate("ruby"), rate("ruby_grpc")),
    }


def table(bench):
    rates_table(bench, "languages", TITLES, IN_FLIGHT,
                "Languages: calls/s, p50 and p99 in microseconds, by calls in flight")
    for name, title in TITLES.items():
        if name in bench.missing:
            print(f"  {title:30}  not measured: {bench.missing[name]}")
