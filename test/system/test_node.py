# SPDX-License-Identifier: MIT
"""What is the Node.js bridge's own, beyond the list every bridge keeps
(test_conformance.py): which tools a file offers, promises that overlap, the context."""

import json
import os
import re
import shutil
import signal
import subprocess

import daemons
import peers
import pytest
from cli_tool import BUILD, DEADLINE, ROOT, snakepit, wait_until

grpc = pytest.importorskip("grpc", reason="needs python3-grpcio")

BRIDGE = BUILD / "bridges" / "node"
EXAMPLES = ROOT / "examples" / "node"

pytestmark = pytest.mark.skipif(
    not (BRIDGE / "snakepit.node").exists(),
    reason="the Node.js bridge is not built: its headers are not here, or a sanitizer is",
)

ADAPTER = """
const { Tensor, BadArguments, Cancelled, NotFound, BadValue } = require('snakepit-bridge');
const fs = require('node:fs');

let waiting = [];
let ended = [];
let kept = null;
const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const refusal = async (promise) => {
  try {
    await promise;
    return null;
  } catch (failure) {
    return [failure.constructor.name, failure.code];
  }
};

class Probe {
  async initialize() {
    await later(1);
    this.greeting = 'hello';
  }

  cleanup() {
    console.error('the adapter is cleaned up');
  }

  onSessionEnd(session) {
    ended.push(session);
  }

  greet({ name }) {
    return `${this.greeting} ${name}`;
  }

  _hidden() {}

  pid() {
    return process.pid;
  }

  ended() {
    return ended;
  }

  words() {
    return process.argv.slice(2);
  }

  // Nobody goes on before `count` calls have met.
  async meet({ count }) {
    await new Promise((resolve) => {
      waiting.push(resolve);
      if (waiting.length === count) {
        for (const go of waiting) go();
        waiting = [];
      }
    });
    return count;
  }

  raw() {
    return Buffer.from([1, 2, 3]);
  }

  bytes_inside() {
    return { a: Buffer.from('first'), b: new Float64Array(2000).fill(1.5), c: Uint8Array.of(7) };
  }

  forms() {
    return {
      date: new Date(0), map: new Map([['a', 1]]), set: new Set([1, 2]), nothing: undefined,
      small: Float32Array.of(0.5, NaN), big: 2n ** 70n, error: new RangeError('r'),
    };
  }

  circle() {
    const circle = {};
    circle.self = circle;
    return circle;
  }

  thrown({ what }) {
    if (what === 'text') throw 'a text';
    if (what === 'null') throw null;
    if (what === 'aggregate') throw new AggregateError([new Error('one'), new Error('two')], 'several');
    throw new BadArguments(`not ${what}`);
  }

  async rejects() {
    await later(1);
    throw new TypeError('later');
  }

  *numbers({ to }) {
    for (let i = 0; i < to; i++) yield i;
  }

  async *slow({ path }, ctx) {
    try {
      yield 'first';
      await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve));
      fs.appendFileSync(path, `${ctx.signal.reason.name}\\n`);
      yield 'never read';
    } finally {
      fs.appendFileSync(path, 'closed\\n');
    }
  }

  deaf({ path }, ctx) {
    fs.appendFileSync(path, 'started\\n');
    while (!ctx.cancelled);
    fs.appendFileSync(path, 'heard\\n');
  }

  async late_hang({ path }) {
    await later(1);
    fs.appendFileSync(path, 'started\\n');
    for (;;);
  }

  async never({ path }) {
    fs.appendFileSync(path, 'started\\n');
    await new Promise(() => {});
  }

  async until({ path, file }) {
    fs.appendFileSync(path, 'started\\n');
    while (!fs.existsSync(file)) await later(5);
    return 'gone';
  }

  async asks({ count }, ctx) {
    await ctx.variables.set('n', 0);
    const numbers = Array.from({ length: count }, (_, i) => i + 1);
    for (const i of numbers) void ctx.variables.set('n', i);
    const tools = await Promise.all(numbers.map(() => ctx.hostTools()));
    if (tools.length !== count) throw new Error('an answer is missing');
    return ctx.variables.get('n');
  }

  late_blocker({ path, seconds }) {
    // Blocks the loop from a timer, which belongs to no call.
    setTimeout(() => {
      fs.appendFileSync(path, 'blocked\\n');
      const end = Date.now() + seconds * 1000;
      while (Date.now() < end);
    }, 1);
    return null;
  }

  async unheard({ path }) {
    setImmediate(() => {
      throw new RangeError('outside of every call');
    });
    await new Promise(() => {});
  }

  async unheard_with_a_question(args, ctx) {
    await ctx.callTool('unheard'); // whose exception ends the worker while this one waits
  }

  *blobs() {
    yield Buffer.from([255, 0, 34]);
    yield Buffer.alloc(0);
    yield 'text';
    yield { a: Buffer.from('inside') };
    yield Buffer.from('{"cut off');
  }

  async reads_blobs(args, ctx) {
    const found = [];
    for await (const chunk of ctx.streamTool('blobs')) {
      if (Buffer.isBuffer(chunk)) found.push([...chunk]);
      else found.push(typeof chunk === 'string' ? chunk : String(chunk.a));
    }
    return found;
  }

  *pages() {
    for (;;) yield 'x'.repeat(100_000);
  }

  async leaves_a_stream(args, ctx) {
    await ctx.streamTool('pages').next();
    await ctx.variables.set('w', 0);
    const watch = ctx.variables.watch('w', { initial: true });
    await watch.next();
    return process.memoryUsage.rss();
  }

  async watches_widely({ count }, ctx) {
    await ctx.variables.set('w', 0);
    const watches = Array.from({ length: count }, () => ctx.variables.watch('w'));
    const refused = await new Promise((resolve) => {
      for (const watch of watches) watch.next().catch(resolve);
    });
    return [refused.constructor.name, await ctx.variables.get('w')];
  }

  keep(args, ctx) {
    kept = ctx;
    return ctx.metadata.key ?? null;
  }

  async kept() {
    const metadata = kept.metadata.key ?? null;
    return [metadata, await refusal((async () => kept.binaries)())];
  }

  async keeps(args, ctx) {
    const { variables } = ctx;
    const found = {};
    found.registered = (await variables.register('rate', 0.5, { constraints: { min: 0, max: 1 } })).type;
    found.refused = await refusal(variables.set('rate', 2));
    found.version = await variables.set('rate', 0.75);
    found.conflict = await refusal(variables.set('rate', 0.1, { expectedVersion: 0 }));
    found.missing = await refusal(variables.get('none'));
    found.otherwise = await variables.get('none', 'x');
    void variables.set('order', 1); // not awaited: in the order of the program
    void variables.set('order', 2);
    found.order = await variables.get('order');
    await variables.set('vector', Float64Array.of(1, 2));
    found.vector = (await variables.info('vector')).type;
    await variables.set('matrix', new Tensor(Float64Array.of(1, 2), [1, 2]));
    found.matrix = await variables.get('matrix');
    found.many = await variables.getMany(['rate', 'none', 'order']);
    const set = await variables.setMany({ rate: 7, order: 3 });
    found.set = [set.rate instanceof BadValue, typeof set.order];
    found.names = (await variables.list('r*')).map((variable) => variable.name);
    found.back = await variables.rollback('rate', 0);
    found.history = (await variables.history('rate')).map((variable) => variable.value);
    await variables.lock('rate', 'me');
    found.locked = await refusal(variables.set('rate', 0.2));
    await variables.unlock('rate', 'me');
    await variables.addDependency('rate', 'order');
    found.cycle = await refusal(variables.addDependency('order', 'rate'));
    found.dependencies = await variables.dependencies('rate');
    await variables.removeDependency('rate', 'order');
    found.exported = (await variables.export()).length;
    await variables.delete('order');
    await ctx.programs.store('p', { steps: [1] });
    await ctx.programs.update('p', { steps: [1, 2] });
    found.program = await ctx.programs.get('p');
    found.programs = (await ctx.programs.list()).map((program) => program.id);
    await ctx.updateSession({ metadata: { who: 'ada' } });
    const info = await ctx.sessionInfo();
    found.session = [info.id, info.metadata, info.variables, info.programs];
    return found;
  }

  async watches(args, ctx) {
    await ctx.variables.set('w', 0);
    const changes = ctx.variables.watch('w', { initial: true });
    void ctx.variables.set('w', 1);
    void ctx.variables.set('w', 2);
    const seen = [];
    for await (const { kind, variable } of changes) {
      seen.push([kind, variable.value]);
      if (seen.length === 3) return seen;
    }
  }

  async leaves_open(args, ctx) {
    await ctx.variables.set('w', 0);
    const changes = ctx.variables.watch('w');
    void changes.next().catch(() => {}); // a watch that nobody ends
    return 'done';
  }

  async no_session(args, ctx) {
    return [ctx.session, await refusal(ctx.variables.get('x'))];
  }

  async host(args, ctx) {
    const results = await Promise.all([1, 2, 3].map((x) => ctx.callHost('twice', { x })));
    return [results, await refusal(ctx.callHost('sad', {})), await refusal(ctx.callHost('none', {}))];
  }

  async facts(args, ctx) {
    return [ctx.tool, ctx.session, ctx.metadata.key ?? null, args.data.length, ctx.binaries.data.length];
  }
}

module.exports = Probe;
"""


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    file = tmp_path_factory.mktemp("node") / "probe.js"
    file.write_text(ADAPTER, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def daemon(adapter, tmp_path_factory):
    with daemons.running(
        tmp_path_factory.mktemp("node"), adapter=str(adapter), cancel_grace="60s",
        max_concurrency=100,
    ) as found:
        yield found


def begun(client, tool, arguments, session=""):
    request = client.request(tool, arguments, session_id=session)
    return client.bridge.ExecuteTool.future(request, timeout=peers.DEADLINE_S)


# ---- units ----


def test_units():
    """The package's own tests of its codec and what else needs no worker."""
    done = subprocess.run(["node", "--test"], cwd=BRIDGE, capture_output=True, text=True,
                          timeout=DEADLINE * 4, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert re.search(r"\bfail 0\b", done.stdout) and re.search(r"\bpass [1-9]", done.stdout)


# ---- adapters ----


def test_the_methods_of_a_class_are_tools(client):
    assert client.execute("greet", {"name": "ada"}) == "hello ada"
    error, _, _ = peers.failure(lambda: client.execute("_hidden"))
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED


def run_file(tmp_path, name, text, *words):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return snakepit("call", "--adapter", str(tmp_path / name), *words)


def test_every_exported_function_is_a_tool(tmp_path):
    text = "exports.double = ({ x }) => 2 * x; exports._no = () => 1; exports.limit = 3;"
    assert run_file(tmp_path, "a.js", text, "double", "x=21").json == 42


def test_a_module_of_ecmascript(tmp_path):
    text = "export const double = ({ x }) => 2 * x;"
    assert run_file(tmp_path, "a.mjs", text, "double", "x=21").json == 42
    text = "export default { tools: { half: { fn: ({ x }) => x / 2 } } };"
    assert run_file(tmp_path, "b.mjs", text, "half", "x=21").json == 10.5


def test_a_module_imports_the_package_that_runs_it(tmp_path):
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    if tuple(map(int, version.stdout[1:].split(".")[:2])) < (22, 15):
        pytest.skip("Node.js before 22.15 has no hook for import")
    text = "import { Tensor } from 'snakepit-bridge'; export const kind = () => Tensor.name;"
    assert run_file(tmp_path, "a.mjs", text, "kind").json == "Tensor"


def test_an_installed_package_is_an_adapter(tmp_path):
    package = tmp_path / "node_modules" / "my-tools"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"name": "my-tools", "main": "m.js"}', encoding="utf-8")
    (package / "m.js").write_text(
        "exports.Half = class { half({ x }) { return x / 2; } }; exports.one = () => 1;",
        encoding="utf-8",
    )
    for adapter, words, result in [("my-tools", ["one"], 1), ("my-tools:Half", ["half", "x=3"], 1.5)]:
        config = daemons.write_config(tmp_path / "c", runtime="node", adapter=adapter)
        assert snakepit("--config", config, "call", *words, cwd=tmp_path).json == result


def test_arguments_by_place_and_defaults(tmp_path):
    text = """module.exports.tools = {
      sub: { params: { a: 'int', b: { type: 'int', default: 2 } }, fn: ({ a, b }) => a - b },
      list: (args) => args,
    };"""
    assert run_file(tmp_path, "a.js", text, "sub", "[9]").json == 7
    assert run_file(tmp_path, "a.js", text, "sub", "a=9").json == 7
    assert run_file(tmp_path, "a.js", text, "list", "[9, 8]").json == [9, 8]


def test_an_adapter_that_cannot_be_loaded_says_why(tmp_path):
    done = run_file(tmp_path, "a.js", "throw new RangeError('not today');", "x")
    assert done.code != 0
    assert "not today" in done.err
    done = run_file(tmp_path, "a.js", "module.exports = 7;", "x")
    assert "has no adapter" in done.err


def test_the_adapters_own_arguments(adapter, tmp_path):
    config = daemons.write_config(tmp_path, adapter=str(adapter), args=["--model", "big"])
    assert snakepit("--config", config, "call", "words").json == ["--model", "big"]


# ---- values ----


def test_bytes_as_the_whole_result(client):
    response = client.bridge.ExecuteTool(client.request("raw"), timeout=peers.DEADLINE_S)
    assert response.binary_result == b"\1\2\3"


def test_bytes_and_arrays_inside_a_result(client):
    response = client.bridge.ExecuteTool(
        client.request("bytes_inside"), timeout=peers.DEADLINE_S
    )
    found = json.loads(response.result.value)
    blob = response.binary_result
    first = found["a"]["__bytes__"]
    assert blob[first.get("at", 0) :][: first["size"]] == b"first"
    tensor = found["b"]["__tensor__"]
    assert tensor["dtype"] == "<f8" and tensor["shape"] == [2000] and tensor["at"] % 16 == 0
    last = found["c"]["__bytes__"]
    assert blob[last["at"] :][: last["size"]] == b"\7"


def test_other_values(client):
    found = client.execute("forms")
    assert found["date"] == "1970-01-01T00:00:00.000Z"
    assert found["map"] == {"a": 1} and found["set"] == [1, 2] and "nothing" not in found
    assert found["small"][0] == 0.5 and found["small"][1] != found["small"][1]
    assert found["big"] == 2**70
    assert found["error"] == {"name": "RangeError", "message": "r"}


def test_a_circle_is_an_error(client):
    error, _, info = peers.failure(lambda: client.execute("circle"))
    assert "circle" in error.details() and info["type"] == "RangeError"


# ---- failures ----


@pytest.mark.parametrize(
    ("what", "kind", "text"),
    [("text", "string", "a text"), ("null", "null", "null"),
     ("aggregate", "AggregateError", "several")],
)  # fmt: skip
def test_whatever_is_thrown_is_told(client, what, kind, text):
    error, trailers, info = peers.failure(lambda: client.execute("thrown", {"what": what}))
    assert trailers["snakepit-reason"] == "SP-REMOTE"
    assert info["type"] == kind and text in error.details()
    if what == "aggregate":
        assert "one" in info["trace"] and "two" in info["trace"]


def test_bad_arguments_are_the_callers(client):
    error, trailers, _ = peers.failure(lambda: client.execute("thrown", {"what": "x"}))
    assert trailers["snakepit-reason"] == "SP-BAD-ARGS"
    assert "not x" in error.details()


def test_a_promise_that_is_rejected(client):
    _, _, info = peers.failure(lambda: client.execute("rejects"))
    assert info["type"] == "TypeError" and "rejects" in info["trace"]


def test_an_exception_outside_of_every_call_ends_the_worker(client, tmp_path):
    before = client.execute("pid")
    error, _, _ = peers.failure(lambda: client.execute("unheard", {"path": ""}))
    assert "outside of every call" in error.details()
    assert client.execute("pid") != before


def test_an_exception_while_a_question_is_open_ends_the_worker(client):
    """The question waits for a tool of this same worker: nobody will answer it."""
    before = client.execute("pid")
    _, trailers, _ = peers.failure(lambda: client.execute("unheard_with_a_question"))
    assert trailers["snakepit-reason"] == "SP-WORKER-DIED"
    assert client.execute("pid") != before


def test_a_stream_called_as_a_call(client):
    _, trailers, _ = peers.failure(lambda: client.execute("numbers", {"to": 3}))
    assert trailers["snakepit-reason"] == "SP-BAD-ARGS"


# ---- promises ----


def test_promises_overlap(client):
    """All of them wait for the last: they must run in one worker at once."""
    calls = [begun(client, "meet", {"count": 100}) for _ in range(100)]
    assert [json.loads(call.result().result.value) for call in calls] == [100] * 100


def test_the_adapters_own_limit(stubs, tmp_path):
    adapter = tmp_path / "limited.js"
    adapter.write_text(
        """let open = 0, most = 0;
        exports.maxConcurrency = 2;
        exports.tools = {
          async work() {
            most = Math.max(most, ++open);
            await new Promise((resolve) => setTimeout(resolve, 5));
            open--;
            return most;
          },
        };""",
        encoding="utf-8",
    )
    with daemons.running(tmp_path / "d", adapter=str(adapter), max_concurrency=50) as daemon:
        with peers.connected(daemon.address) as client:
            calls = [begun(client, "work", {}) for _ in range(20)]
            assert max(json.loads(call.result().result.value) for call in calls) <= 2


def test_a_stream_of_numbers(client):
    found = [json.loads(c.data) for c in client.open_stream("numbers", {"to": 10_000}) if c.data]
    assert found == list(range(10_000))


# ---- the end of patience ----


def test_an_async_generator_is_aborted_and_closed(client, notes):
    stream = client.open_stream("slow", {"path": str(notes.path)})
    assert json.loads(next(stream).data) == "first"
    stream.cancel()
    notes.wait_for("Cancelled")
    notes.wait_for("closed")
    assert client.execute("greet", {"name": "x"}) == "hello x"


def test_a_loop_sees_that_it_is_cancelled(client, notes):
    call = begun(client, "deaf", {"path": str(notes.path)})
    notes.wait_for("started")
    call.cancel()
    notes.wait_for("heard")
    assert client.execute("greet", {"name": "x"}) == "hello x"


def test_a_loop_after_an_await_is_stuck(adapter, stubs, tmp_path, notes):
    """The job is aside then, but its thread cannot hear that it is cancelled."""
    with daemons.running(tmp_path, adapter=str(adapter), cancel_grace="200ms") as daemon:
        with peers.connected(daemon.address) as client:
            before = client.execute("pid")
            call = begun(client, "late_hang", {"path": str(notes.path)})
            notes.wait_for("started")
            call.cancel()
            assert client.execute("pid") != before


def test_a_promise_that_never_ends_holds_nothing(adapter, stubs, tmp_path, notes):
    """Its place is free once its caller has gone, though it pays no heed."""
    with daemons.running(tmp_path, adapter=str(adapter), max_concurrency=2) as daemon:
        with peers.connected(daemon.address) as client:
            for _ in range(5):
                call = begun(client, "never", {"path": str(notes.path)})
                notes.wait_for("started")
                call.cancel()
            assert client.execute("greet", {"name": "x"}) == "hello x"


def test_a_blocked_event_loop_is_not_taken_for_dead(adapter, stubs, tmp_path, notes):
    health = {"health_interval": "100ms", "health_misses": 5}
    with daemons.running(tmp_path, adapter=str(adapter), **health) as daemon:
        with peers.connected(daemon.address) as client:
            before = client.execute("pid")
            client.execute("late_blocker", {"path": str(notes.path), "seconds": 3})
            notes.wait_for("blocked")
            assert client.execute("pid") == before


def test_a_stopped_worker_ends_its_calls_first(adapter, stubs, tmp_path, notes):
    settings = {"max_concurrency": 2, "shutdown_grace": "1m"}
    with daemons.running(tmp_path, adapter=str(adapter), **settings) as daemon:
        with peers.connected(daemon.address) as client:
            call = begun(client, "until", {"path": str(notes.path), "file": str(tmp_path / "go")})
            notes.wait_for("started")
            pid = re.search(r"event=worker.ready .*pid=(\d+)", daemon.log()).group(1)
            os.kill(int(pid), signal.SIGTERM)
            (tmp_path / "go").touch()
            assert json.loads(call.result().result.value) == "gone"
            assert client.execute("greet", {"name": "x"}) == "hello x"  # its successor
        wait_until(lambda: "the adapter is cleaned up" in daemon.log(), "the end of the worker")


def test_many_questions_at_once(client):
    """More than there are threads that ask; the answers come back in the program's order."""
    assert client.execute("asks", {"count": 2000}, session_id="asks") == 2000


# ---- the session and the host ----


def test_everything_a_session_keeps(client):
    found = client.execute("keeps", session_id="keeps")
    assert found == {
        "registered": "float", "refused": ["BadValue", "SP-BAD-VALUE"], "version": 1,
        "conflict": ["VersionConflict", "SP-CONFLICT"], "missing": ["NotFound", "SP-NOT-FOUND"],
        "otherwise": "x", "order": 2, "vector": "embedding",
        "matrix": {"shape": [1, 2], "data": [1, 2]}, "many": {"rate": 0.75, "order": 2},
        "set": [True, "number"], "names": ["rate"], "back": 2, "history": [0.5, 0.75, 0.5],
        "locked": ["VariableLocked", "SP-LOCKED"], "cycle": ["DependencyCycle", "SP-CYCLE"],
        "dependencies": [{"from": "rate", "to": "order", "kind": "data"}], "exported": 4,
        "program": {"steps": [1, 2]}, "programs": ["p"],
        "session": ["keeps", {"who": "ada"}, 3, 1],
    }  # fmt: skip


def test_a_watch_sees_every_change(client):
    found = client.execute("watches", session_id="watches")
    assert found == [["initial", 0], ["value", 1], ["value", 2]]


def test_a_watch_that_is_left_open_holds_nothing(client):
    for _ in range(3):
        assert client.execute("leaves_open", session_id="open") == "done"


def test_more_watches_than_may_be_read_at_once(client):
    """The one too many is refused, and other questions are answered."""
    found = client.execute("watches_widely", {"count": 300}, session_id="wide")
    assert found == ["QuotaExceeded", 0]


def test_what_is_left_open_is_closed_with_its_call(client):
    """It took most of a megabyte for each call."""
    used = [client.execute("leaves_a_stream", session_id="left") for _ in range(150)]
    assert used[-1] - used[30] < 40 * 2**20


def test_bytes_from_a_stream_of_another_worker(client):
    found = client.execute("reads_blobs")
    assert found == [[255, 0, 34], [], "text", "inside", list(b'{"cut off')]


def test_a_call_without_a_session(client):
    assert client.execute("no_session") == [None, ["HostError", "SP-INVAL"]]


def test_what_comes_with_a_call(client):
    request = client.request("facts", session_id="facts")
    request.binary_parameters["data"] = b"x" * 50_000
    request.metadata["key"] = "value"
    response = client.bridge.ExecuteTool(request, timeout=peers.DEADLINE_S)
    assert json.loads(response.result.value) == ["facts", "facts", "value", 50_000, 50_000]


def test_a_context_that_is_kept_gives_what_was_read(client):
    request = client.request("keep", {})
    request.metadata["key"] = "its own"
    client.bridge.ExecuteTool(request, timeout=peers.DEADLINE_S)
    assert client.execute("kept") == ["its own", ["Cancelled", "SP-CANCELLED"]]


def test_tools_of_the_host_side_by_side(adapter, tmp_path):
    config = daemons.write_config(tmp_path, adapter=str(adapter))
    done = snakepit(
        "--config", config, "call", "--tool", "twice=sed 's/.*/[&,&]/'",
        "--tool", "sad=exit 3", "host",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.json == [
        [[{"x": x}, {"x": x}] for x in (1, 2, 3)],
        ["ToolError", "SP-REMOTE"],
        ["ToolNotFound", "SP-NO-TOOL"],
    ]


# ---- the showcase and the package ----


def test_the_commands_of_the_original(tmp_path):
    config = daemons.write_config(tmp_path, runtime="node")
    done = snakepit("--config", config, "call", "random", "type=uniform", "min=0", "max=100")
    assert 0 <= done.json["value"] <= 100
    done = snakepit("--config", config, "call", "compute", "operation=sqrt", "a=16")
    assert done.json["result"] == 4
    assert snakepit("--config", config, "call", "ping").json["status"] == "pong"
    assert snakepit("--config", config, "call", "add", "a=2", "b=3").json["result"] == 5


# ---- examples ----


def test_the_example(tmp_path):
    config = daemons.write_config(tmp_path, adapter=str(EXAMPLES / "sums.js"), max_concurrency=10)
    assert snakepit("--config", config, "call", "add", "a=2", "b=3").json == 5
    assert snakepit("--config", config, "call", "add_later", "a=2", "b=3").json == 5
    done = snakepit("--config", config, "stream", "running_sum", "numbers=[1,2,3]")
    assert [json.loads(line)["sum"] for line in done.lines] == [1, 3, 6]
    done = snakepit("--config", config, "call", "remember", "number=4", "--session", "s")
    assert done.json == {"sum": 4}


@pytest.mark.skipif(shutil.which("npm") is None, reason="needs npm")
def test_the_packed_package_builds_and_runs(tmp_path):
    """What `npm pack` makes, installed elsewhere and built by a compiler alone."""
    quiet = {**os.environ, "npm_config_cache": str(tmp_path / "cache"),
             "npm_config_update_notifier": "false"}  # fmt: skip

    def run(*words, **more):
        done = subprocess.run(words, capture_output=True, text=True, timeout=DEADLINE * 4,
                              check=False, cwd=tmp_path, env={**quiet, **more})  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    packed = run("npm", "pack", str(ROOT / "bridges" / "node")).split()[-1]
    (tmp_path / "package.json").write_text('{"private": true}', encoding="utf-8")
    run("npm", "install", "--offline", "--no-audit", "--no-fund", f"./{packed}")
    package = tmp_path / "node_modules" / "snakepit-bridge"
    library = BUILD / "src" / "runtime"
    (tmp_path / "snakepit-worker.pc").write_text(
        f"Name: snakepit-worker\nDescription: as installed\nVersion: 0\n"
        f"Libs: -L{library} -lsnakepit-worker\nCflags: -I{ROOT / 'include'}\n",
        encoding="utf-8",
    )
    run("npm", "run", "build", "--prefix", str(package), PKG_CONFIG_PATH=str(tmp_path))
    run("node", "-e", "require('snakepit-bridge').Tensor.from([[1]]).toArray()")
    run("node", "--input-type=module", "-e",
        "import { Tensor } from 'snakepit-bridge'; new Tensor(Float64Array.of(1))")  # fmt: skip
    config = daemons.write_config(
        tmp_path / "config", runtime="exec",
        command=["node", str(package / "snakepit_worker.js"), "--adapter", "showcase"],
    )  # fmt: skip
    assert snakepit("--config", config, "call", "add", "a=2", "b=3").json["result"] == 5
