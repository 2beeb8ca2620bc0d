# SPDX-License-Identifier: MIT
"""What is the Ruby bridge's own, beyond the list every bridge keeps (test_conformance.py):
which tools a file offers, how arguments meet methods, what a tool may do with its call."""

import json
import math
import re
import subprocess

import daemons
import peers
import pytest
from cli_tool import BUILD, DEADLINE, ROOT, snakepit

grpc = pytest.importorskip("grpc", reason="needs python3-grpcio")

BRIDGE = BUILD / "bridges" / "ruby"
EXAMPLES = ROOT / "examples" / "ruby"

pytestmark = pytest.mark.skipif(
    not (BRIDGE / "snakepit_worker.rb").exists(),
    reason="the Ruby bridge is not built: ruby-dev is not here, or a sanitizer is",
)

ADAPTER = """
require "snakepit_bridge"

class Probe < Snakepit::Adapter
  def setup
    @sessions = []
    @calls = 0
  end

  def close = warn("the adapter is closed")
  def session_ended(session) = @sessions << session

  tool(:ended) { @sessions }
  tool(:reports_odd) { Snakepit::Telemetry.emit("odd", {loss: Float::NAN, most: -Float::INFINITY}) }
  tool(:calls) { @calls += 1 }
  tool(:arguments) { ARGV }

  tool :order
  def order(a, b = 10, *, c:, d: 4, **rest) = [a, b, c, d, rest]

  tool :loose, params: {kind: {type: :str, default: "x", description: "Which."}}
  def loose(**named) = named

  tool(:blame) { |value:| Integer(value) }
  tool(:arity) { |value:| [1].first(*value) }
  tool(:refuse) { |value:| raise Snakepit::BadArguments, "not #{value}" }
  tool(:leave_politely) { exit(3) }
  tool(:throws) { throw :nowhere }
  tool(:unspeakable) { Object.new }

  tool(:stubborn) do |seconds:|
    begin
      sleep
    rescue => e
      "a plain rescue: #{e.class}"
    end
  end

  tool(:protected_part) do |path:|
    Thread.handle_interrupt(Snakepit::Cancelled => :never) do
      File.write(path, "began")
      sleep 0.01 until Snakepit.current.cancelled?
      File.write(path, "finished")
    end
    File.write(path, "went on")
  end

  tool(:overflow) { |depth: 0| overflow(depth: depth + 1) }

  tool(:crashes) { Process.kill(:SEGV, Process.pid) }

  tool :forks do
    reader, writer = IO.pipe
    child = fork do
      begin
        Snakepit.current&.call_host("nobody")
        writer.write("no context;")
        Snakepit::Worker.new("x", nil, 0)
      rescue Snakepit::WorkerError
        writer.write("refused")
      end
    end
    writer.close
    Process.wait(child)
    [reader.read, $?.exitstatus]
  end

  tool :falls_back do
    child = fork
    next "from the child" if child.nil?

    Process.wait(child)
    $?.exitstatus
  end

  tool :threads do |ctx:|
    6.times.map { |i| Thread.new { ctx.call_tool("square", n: i, pool: "other") } }.map(&:value)
  end

  tool(:pid) { Process.pid }

  # The thread has a tick behind it when its arguments are encoded, and gives way to the
  # end of the call just before it asks.
  tool :leaves_a_thread do |ctx:|
    began = Queue.new
    @left = Thread.new do
      large = [10**300_000] * 30
      began << true
      ctx.call_host("nobody", {large: large})
    rescue Snakepit::HostError => e
      e.code
    end
    began.pop
  end
  tool(:left) { @left.value }

  # While a question is open, the call ends; then another thread does what the block says.
  def when_over(ctx, path)
    Thread.new { ctx.call_tool("waits_for", path: path, pool: "other") }
    sleep 0.01 until File.exist?("#{path}.asked")
    Thread.new do
      sleep 0.01 while ctx.active?
      yield
      File.write(path, "")
    end
  end

  tool :written_to_late do |path:, ctx:|
    bytes = "\\x01".b * 100_000
    when_over(ctx, path) { bytes.setbyte(0, 2) }
    bytes
  end

  tool :raised_in_late do |path:, fails:, ctx:|
    main = Thread.current
    when_over(ctx, path) { main.raise(IOError, "late") }
    raise "in time" if fails
  end

  tool :bytes_of_others do |ctx:|
    ctx.stream_host("raws", pool: "other").map { |c| c.is_a?(String) ? [c.encoding.name, c.bytes] : c }
  end

  tool :late do |ctx:|
    old = @kept
    @kept = ctx
    old && [old.active?, old.cancelled?, old.time_left, (old[:x] rescue $!.class.name)]
  end

  tool :state do |ctx:|
    ctx[:rate] = 0.5
    ctx[:rate] = 0.75
    version = ctx.variable(:rate).version
    conflict = (ctx.set(:rate, 1, expected_version: 0) rescue $!.code)
    bad = (ctx.set(:rate, "text") rescue $!.class.name)
    ctx.rollback(:rate, 0)
    history = ctx.history(:rate).map(&:value)
    ctx.lock(:rate, "me")
    locked = (ctx.set(:rate, 2) rescue $!.class.name)
    ctx.unlock(:rate, "me")
    ctx.register(:big, [1.0] * 3000)
    names = ctx.variables("*").map(&:name)
    ctx.delete(:big)
    [version, conflict, bad, history, locked, names, ctx.variables.map(&:name), ctx.session_info[:variables]]
  end

  tool :programs do |ctx:|
    ctx.store_program("p", {"code" => [1]})
    ctx.store_program("g", "all", global: true, ttl: 60)
    found = [ctx.program("p")[:data], ctx.program("g", global: true)[:data], ctx.programs.map { |p| p[:id] }]
    ctx.delete_program("p")
    found << (ctx.program("p") rescue $!.class.name)
  end

  tool :watches do |ctx:|
    ctx[:seen] = 1
    found = []
    ctx.watch(:seen, initial: true, timeout: 30) do |kind, variable|
      found << [kind, variable.value]
      break if found.size == 3
      ctx[:seen] = found.size + 1
    end
    found
  end

  tool :relays, stream: true do |n:, ctx:, &emit|
    ctx.stream_host("squares", {n: n}, pool: "other") { |item| emit.call(item) }
  end

  tool :takes_some do |ctx:|
    ctx.stream_host("squares", n: 1_000_000_000, pool: "other").first(3)
  end

  tool :host_failures do |ctx:|
    [["square", {n: "x"}], ["nothing", {}], ["breaks", {}]].map do |name, args|
      ctx.call_tool(name, args, pool: "other")
    rescue Snakepit::HostError => e
      [e.class.name, e.code, e.remote_type]
    end
  end

  tool :round_trip do |ctx:|
    tensor = Snakepit::Tensor.from((0...2000).to_a)
    found = ctx.call_tool("same", {tensor: tensor, raw: "\\xFF\\x00".b}, pool: "other")
    [found["tensor"] == tensor, found["raw"].bytes]
  end

  tool :yields, stream: true
  def yields(n)
    n.times { |i| yield i }
  end

  tool(:enumerates, stream: true) { |n:| (1..n).each_slice(2) }
  tool(:bytes_stream, stream: true) { |&emit| 2.times { |i| emit.call([i].pack("C") * 3) } }
end
"""

OTHER = """
require "snakepit_bridge"

class Other < Snakepit::Adapter
  tool(:square, params: {n: :int}) { |n:| n * n }
  tool(:squares, stream: true) { |n:, &emit| n.times { |i| emit.call(i * i) } }
  tool(:same) { |**named| named }
  tool(:breaks) { raise IOError, "broken" }
  tool(:raws, stream: true) { |&emit| ["\\xFF\\x00".b, "".b, {a: 1}].each(&emit) }
  tool :waits_for do |path:|
    File.write("#{path}.asked", "")
    sleep 0.01 until File.exist?(path)
  end
end
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a pool of Probe."""
    folder = tmp_path_factory.mktemp("ruby")
    (folder / "probe.rb").write_text(ADAPTER)
    configure(folder, {"adapter": "probe.rb", "args": ["--one", "2"]})
    return folder


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    """A daemon with a pool of Probe, and one of Other beside it."""
    folder = tmp_path_factory.mktemp("pair")
    (folder / "probe.rb").write_text(ADAPTER)
    (folder / "other.rb").write_text(OTHER)
    other = {"name": "other", "adapter": str(folder / "other.rb"), "size": 2}
    adapter = str(folder / "probe.rb")
    with daemons.running(folder / "d", adapter=adapter, more=[other]) as found:
        yield found


def configure(folder, *pools, **more):
    pools = [{"size": 1, "hang_grace": "200ms", "cancel_grace": "500ms", **pool} for pool in pools]
    (folder / "snakepit.yaml").write_text(json.dumps({"pools": pools, **more}))


def call(place, *words, **more):
    return snakepit("call", *words, cwd=place, **more)


def adapter(folder, text, spec="a.rb", **more):
    (folder / "a.rb").write_text(text)
    configure(folder, {"runtime": "ruby", "adapter": spec, **more})
    return folder


# ---- which tools there are ----


def tools(folder):
    done = snakepit("tools", "-o", "json", cwd=folder)
    assert done.code == 0, done.err
    return done.json


def test_the_codec():
    done = subprocess.run(
        ["ruby", "-I", BRIDGE / "lib", ROOT / "bridges/ruby/tests/test_codec.rb"],
        capture_output=True, text=True, timeout=10 * DEADLINE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b18 runs, .* 0 failures, 0 errors, 0 skips", done.stdout)


def test_a_class_without_declarations_offers_its_public_methods(tmp_path):
    adapter(tmp_path, "class A; def one = 1; def two(x) = x; private def three = 3; end")
    assert call(tmp_path, "two", "x=[4]").json == [4]
    done = call(tmp_path, "three")
    assert done.code == 4 and '"three"' in done.err


def test_of_several_classes_one_is_named(tmp_path):
    text = "class A; def f = 1; end; class B; def f = 2; end"
    adapter(tmp_path, text, spec="a.rb:B")
    assert call(tmp_path, "f").json == 2
    adapter(tmp_path, text.replace("class A", "class Z"))
    done = call(tmp_path, "f")
    assert done.code != 0
    assert re.search(r"several classes: B, Z; say which, as in .*/a\.rb:B", done.err)


@pytest.mark.parametrize("text, spec, reason", [
    ("class A; end", "missing.rb", "no such file"),
    ("x = 1", "a.rb", "no adapter class"),
    ("class A; end", "a.rb:None", "uninitialized constant None"),
    ("class A", "a.rb", "SyntaxError"),
    ("require 'no_such_gem'", "a.rb", "no_such_gem"),
    ("class A; def setup = raise('not today'); end", "a.rb", "not today"),
])  # fmt: skip
def test_an_adapter_that_cannot_be_loaded_is_refused_with_the_reason(tmp_path, text, spec, reason):
    adapter(tmp_path, text, spec=spec)
    done = call(tmp_path, "f", "-t", "20s")
    assert done.code != 0 and reason in done.err


def test_the_showcase(tmp_path):
    configure(tmp_path, {"runtime": "ruby", "adapter": "showcase"})
    assert call(tmp_path, "add", "a=2", "b=3").json == 5
    assert call(tmp_path, "echo", "a=[1]", "b=x").json == {"echoed": {"a": [1], "b": "x"}}
    assert call(tmp_path, "process_text", "text=Ab", "operation=reverse").json["result"] == "bA"
    assert call(tmp_path, "adapter_info").json["language"] == "ruby"
    done = snakepit("stream", "fibonacci", "count=6", cwd=tmp_path)
    assert done.lines == ["0", "1", "1", "2", "3", "5"]


def test_the_examples(tmp_path):
    configure(tmp_path, {"adapter": str(EXAMPLES / "sums.rb")})
    assert call(tmp_path, "add", "a=2", "b=3").json == 5
    assert call(tmp_path, "mean", "numbers=[1,2,6]").json == 3.0
    assert call(tmp_path, "remember", "name=x", "value=5", "-s", "mine").json["session"] == "mine"
    done = snakepit("stream", "primes", "below=20", cwd=tmp_path)
    assert [int(line) for line in done.lines] == [2, 3, 5, 7, 11, 13, 17, 19]


def test_a_table_of_commands(tmp_path):
    configure(tmp_path, {"adapter": str(EXAMPLES / "bridge_handler.rb")})
    assert call(tmp_path, "ping").json == {"status": "ok", "message": "pong"}
    assert call(tmp_path, "process_data", "data=abc").json == {"processed": "ABC", "length": 3}
    report = call(tmp_path, "generate_report", "title=T").json["report"]
    assert report["title"] == "T" and report["data"] == {}
    assert call(tmp_path, "handle_ping").code == 4


def test_a_program_of_its_own_is_a_worker(tmp_path):
    (tmp_path / "own.rb").write_text(OTHER + "Snakepit.serve(Other.new)\n")
    command = ["ruby", "-I", str(BRIDGE / "lib"), "own.rb"]
    configure(tmp_path, {"runtime": "exec", "command": command})
    assert call(tmp_path, "square", "n=7").json == 49


# ---- arguments ----


@pytest.mark.parametrize("given, found", [
    ({"a": 1, "c": 3}, [1, 10, 3, 4, {}]),
    ({"a": 1, "b": 2, "c": 3, "d": 5, "e": [6]}, [1, 2, 3, 5, {"e": [6]}]),
])  # fmt: skip
def test_arguments_find_their_parameters(place, given, found):
    assert call(place, "order", json.dumps(given)).json == found


def test_what_was_not_declared_reaches_a_rest(place):
    assert call(place, "loose", "other=1").json == {"other": 1}


@pytest.mark.parametrize("words, text", [
    (["order", "b=2"], '"a" is missing'),
    (["blame"], '"value" is missing'),
    (["refuse", "value=7"], "not 7"),
    (["yields"], "stream"),
])  # fmt: skip
def test_arguments_that_do_not_fit_are_the_callers_fault(place, words, text):
    done = call(place, *words)
    assert "SP-BAD-ARGS" in done.err and text in done.err


def test_an_argument_error_of_the_tools_own_code_is_the_tools(place):
    done = call(place, "blame", "value=x")
    assert 'SP-REMOTE: ArgumentError: invalid value for Integer(): "x"' in done.err
    assert "SP-REMOTE" in call(place, "arity", "value=[1,2,3]").err


def test_the_adapters_arguments_are_argv(place):
    assert call(place, "arguments").json == ["--one", "2"]


# ---- what a tool may do ----


@pytest.mark.parametrize("tool, text", [
    ("leave_politely", "SystemExit: exit"),
    ("throws", "UncaughtThrowError"),
    ("unspeakable", "TypeError: Object cannot be sent"),
    ("overflow", "SystemStackError"),
])  # fmt: skip
def test_whatever_a_tool_does_is_one_failed_call(place, tool, text):
    done = call(place, tool)
    assert done.code == 7 and text in done.err


def test_a_plain_rescue_does_not_stop_a_cancellation(place):
    done = call(place, "stubborn", "seconds=1", "-t", "200ms")
    assert "SP-TIMEOUT" in done.err


def test_handle_interrupt_holds_a_cancellation_back(place, tmp_path):
    noted = tmp_path / "noted"
    done = call(place, "protected_part", f"path={noted}", "-t", "500ms")
    assert "SP-TIMEOUT" in done.err
    assert noted.read_text() == "finished"


@pytest.mark.parametrize("stuck", ["loop {}", "sleep"])
def test_a_worker_that_hangs_leaves_its_stack(tmp_path, stuck):
    text = f"class A\n  def setup = deep\n  def deep\n    {stuck}\n  end\nend\n"
    adapter(tmp_path, text, init_timeout="2s")
    done = snakepit("status", "--deaths", "-o", "json", cwd=tmp_path)
    death = done.json["pools"][0]["deaths"][-1]
    assert death["why"] == "too_slow"
    stack = "\n".join(death["stack"]) if isinstance(death["stack"], list) else death["stack"]
    assert re.search(r"a\.rb:4 in (block in )?deep", stack), stack
    assert re.search(r"a\.rb:2 in setup", stack), stack


def test_a_crash_is_told_in_a_few_lines(place):
    done = call(place, "crashes")
    assert "killed by SIGSEGV" in done.err
    assert re.search(r"probe\.rb:\d+ in block in <class:Probe>", done.err)
    assert len(done.err.splitlines()) < 30


def test_a_child_has_no_worker(place):
    assert call(place, "forks").json == ["no context;refused", 0]
    assert call(place, "falls_back").json == 0


def test_threads_of_a_call_ask_at_the_same_time(client):
    assert client.execute("threads") == [0, 1, 4, 9, 16, 25]


def test_a_thread_that_asks_as_its_call_ends_is_told_so(client):
    pid = client.execute("pid")
    for _ in range(3):
        client.execute("leaves_a_thread")
        assert client.execute("left") in ("SP-CLOSED", "SP-NO-TOOL")
    assert client.execute("pid") == pid


def test_a_result_of_bytes_is_what_the_tool_gave(client, tmp_path):
    request = client.request("written_to_late", {"path": str(tmp_path / "go")})
    response = client.bridge.ExecuteTool(request, timeout=DEADLINE)
    assert response.binary_result == b"\1" * 100_000


@pytest.mark.parametrize("fails", [False, True])
def test_an_exception_of_another_thread_that_comes_late_harms_nothing(client, tmp_path, fails):
    pid = client.execute("pid")
    request = client.request("raised_in_late", {"path": str(tmp_path / "go"), "fails": fails})
    try:
        done = client.bridge.ExecuteTool(request, timeout=DEADLINE)
        assert not fails and done.success
    except grpc.RpcError as error:
        assert fails and "in time" in error.details()
    assert client.execute("pid") == pid


def test_a_context_outlives_its_call(place):
    done = snakepit("map", "late", cwd=place, stdin="{}\n{}\n")
    assert [json.loads(line) for line in done.lines] == [None, [False, False, 0.0, "Snakepit::HostError"]]


def test_variables(place):
    assert call(place, "state", "-s", "s1").json == [
        1, "SP-CONFLICT", "Snakepit::BadValue", [0.5, 0.75, 0.5], "Snakepit::VariableLocked",
        ["rate", "big"], ["rate"], 1]


def test_programs(place):
    found = call(place, "programs", "-s", "s2").json
    assert found == [{"code": [1]}, "all", ["p"], "Snakepit::NotFound"]


def test_a_watch_gives_each_change(place):
    found = call(place, "watches", "-s", "s3").json
    assert found == [["initial", 1], ["value", 2], ["value", 3]]


def test_streams_of_other_workers(client):
    chunks = client.open_stream("relays", {"n": 5})
    assert [json.loads(chunk.data) for chunk in chunks if chunk.data] == [0, 1, 4, 9, 16]
    assert client.execute("takes_some") == [0, 1, 4]


def test_bytes_of_other_workers_streams(client):
    assert client.execute("bytes_of_others") == [
        ["ASCII-8BIT", [255, 0]], ["ASCII-8BIT", []], {"a": 1}]


def test_failures_of_other_workers_have_classes(client):
    assert client.execute("host_failures") == [
        ["Snakepit::ToolArgumentsError", "SP-BAD-ARGS", None],
        ["Snakepit::ToolNotFound", "SP-NO-TOOL", None],
        ["Snakepit::ToolError", "SP-REMOTE", "IOError"],
    ]


def test_tensors_and_bytes_go_to_other_workers_and_back(client):
    assert client.execute("round_trip") == [True, [255, 0]]


@pytest.mark.parametrize("words, lines", [
    (["yields", "n=3"], ["0", "1", "2"]),
    (["yields", "n=0"], []),
    (["enumerates", "n=5"], ["[1,2]", "[3,4]", "[5]"]),
    (["blame", "value=5"], ["5"]),
])  # fmt: skip
def test_streams_of_every_form(place, words, lines):
    done = snakepit("stream", *words, cwd=place)
    assert (done.code, done.lines) == (0, lines)


def test_every_step_survives_the_collector(tmp_path):
    text = """
require "snakepit_bridge"

class A < Snakepit::Adapter
  def setup = GC.stress = true
  tool(:same) { |**named| named }
  tool(:fails) { |text:| raise KeyError, text }
  tool(:items, stream: true) { |n:, &emit| n.times { |i| emit.call({i: i, t: "x" * i}) } }
  tool(:keeps) { |ctx:, v:| ctx[:v] = v; [ctx[:v], ctx.variables.map(&:name), ctx.session] }
end
"""
    adapter(tmp_path, text)
    value = {"a": [1, 10**30, 0.5, "ü", None, {"b": [[1], {"c": "d"}]}], "t": "y" * 20_000}
    lines = "".join(json.dumps({"n": n, **value}) + "\n" for n in range(8))
    done = snakepit("map", "same", cwd=tmp_path, stdin=lines)
    assert [json.loads(line) for line in done.lines] == [{"n": n, **value} for n in range(8)]
    assert "KeyError: snåke" in call(tmp_path, "fails", "text=snåke").err
    done = snakepit("stream", "items", "n=12", cwd=tmp_path)
    assert [json.loads(line) for line in done.lines] == [{"i": i, "t": "x" * i} for i in range(12)]
    assert call(tmp_path, "keeps", "v=[1,2]", "-s", "s").json == [[1, 2], ["v"], "s"]


# ---- without the bridge ----


def test_a_stock_grpc_worker(tmp_path):
    subprocess.run(
        ["protoc", "-I", ROOT / "proto", f"--ruby_out={tmp_path}", f"--grpc_out={tmp_path}",
         "--plugin=protoc-gen-grpc=/usr/bin/grpc_ruby_plugin", "snakepit/bridge.proto"],
        check=True)  # fmt: skip
    command = ["ruby", "-I", str(tmp_path), str(EXAMPLES / "grpc_worker.rb"), "{address}"]
    configure(tmp_path, {"runtime": "grpc", "command": command})
    assert call(tmp_path, "add", "a=2", "b=3").json == {"result": 5}
    assert call(tmp_path, "process_data", "data=abc").json == {"processed": "ABC", "length": 3}
    done = call(tmp_path, "process_data", "data=5")
    assert "SP-REMOTE: NoMethodError" in done.err and "handle_process_data" in done.err
    assert "SP-NO-TOOL" in call(tmp_path, "nothing").err
    done = snakepit("stream", "count", "n=3", cwd=tmp_path)
    assert [json.loads(line) for line in done.lines] == [{"i": 0}, {"i": 1}, {"i": 2}]


def test_an_event_has_figures_that_are_no_numbers(stubs, place, tmp_path):
    program = ["ruby", BRIDGE / "snakepit_worker.rb"]
    with peers.listening_worker(tmp_path, place / "probe.rb:Probe", program) as address:
        event = peers.event_of(address, "reports_odd", "odd")
    found = {key: value.float_value for key, value in event.measurements.items()}
    assert math.isnan(found["loss"]) and found["most"] == -math.inf
