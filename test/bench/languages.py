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
ADDRESS = "{address}"
EXAMPLES = ROOT / "examples"
TITLES = {
    "node": "our worker in Node.js",
    "node_grpc": "grpc-js",
    "ruby": "our worker in Ruby",
    "ruby_grpc": "ruby-grpc, 200 threads",
    "r": "our worker in R",
}
# name: the interpreter, its script of the bridge and its adapter, and what it needs
WORKERS = {
    "node": ("node", "snakepit_worker.js", "bench_adapter.js", "node and its headers"),
    "ruby": ("ruby", "snakepit_worker.rb", "bench_adapter.rb", "ruby-dev"),
    "r": ("Rscript", "snakepit_worker.R", "bench_adapter.R", "r-base-core"),
}


def measure(bench, name, *command, **environment):
    """The server is told where to listen by the ADDRESS in its command."""
    path = bench.folder / f"{name}.sock"
    path.unlink(missing_ok=True)
    words = [f"unix:{path}" if word == ADDRESS else word for word in command]
    with bench.started(*words, **environment):
        for k in IN_FLIGHT:
            bench.add("languages", name, k,
                      bench.run("grpc-client", "calls", "--socket", path, "--in-flight", k,
                                *bench.plan.window))


def worker(name):
    interpreter, script, adapter, needs = WORKERS[name]

    def part(bench):
        path = bench.build / "bridges" / name / script
        if path.exists():
            measure(bench, name, interpreter, path, "--adapter", HERE / adapter,
                    "--listen", ADDRESS)
        else:
            bench.missing[name] = f"the bridge is not built: it needs {needs}"

    part.__name__ = name
    return part


def node_grpc(bench):
    modules = ROOT / "test" / "system" / "node" / "node_modules"
    if not (modules / "@grpc" / "grpc-js").is_dir():
        bench.missing["node_grpc"] = "no @grpc/grpc-js: tools/setup installs it"
        return
    measure(bench, "node_grpc", "node", EXAMPLES / "node" / "grpc_worker.js", ADDRESS,
            NODE_PATH=str(modules))


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
    # It refuses what finds no thread waiting: far more threads than calls are needed.
    measure(bench, "ruby_grpc", "ruby", "-I", stubs, EXAMPLES / "ruby" / "grpc_worker.rb",
            ADDRESS, THREADS="200")


PARTS = [worker("node"), node_grpc, worker("ruby"), ruby_grpc, worker("r")]


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
