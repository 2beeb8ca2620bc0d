# SPDX-License-Identifier: MIT
"""What is the R bridge's own, beyond the list every bridge keeps (test_conformance.py): which
tools a file offers, how arguments meet functions, what a tool may do with its call."""

import json
import os
import subprocess

import daemons
import peers
import pytest
from cli_tool import BUILD, DEADLINE, ROOT, snakepit

grpc = pytest.importorskip("grpc", reason="needs python3-grpcio")

BRIDGE = BUILD / "bridges" / "r"
EXAMPLES = ROOT / "examples" / "r"

pytestmark = pytest.mark.skipif(
    not (BRIDGE / "snakepit_worker.R").exists(),
    reason="the R bridge is not built: r-base-core is not here, or a sanitizer is",
)

ADAPTER = r"""
library(snakepitBridge)

ended <- character(0)
setup <- function() options(probe.ready = TRUE)
close <- function() message("the adapter is closed")
session_ended <- function(session) ended <<- c(ended, session)

tool("ready", function() getOption("probe.ready"))
tool("arguments", function() I(getOption("snakepit.arguments")))
tool("order", function(a, b = 10, ..., d = 4) list(a, b, d, list(...)))
tool("blame", function(value) { if (!is.numeric(value)) stop("no number: ", value); value })
tool("refuse", function(value) bad_arguments("not ", value))
tool("leave_politely", function() stop(structure(class = c("odd", "condition"), list(message = "odd", call = NULL))))
tool("unspeakable", function() sum)
tool("warns", function() { warning("careful"); 1 })
tool("endless_recursion", function() { f <- function(n) f(n + 1); f(1) })
tool("nothing", function() NULL)
tool("reports_little", function() emit("little", list(), NULL))

tool("kind_of_frame", function(frame) {
  frame <- as.data.frame(frame)
  list(rows = nrow(frame), classes = vapply(frame, function(x) class(x)[1], ""), frame = frame[order(-frame$x), ])
})
tool("matrix_kind", function(m) list(is.matrix(m), dim(m), t(m)))

tool("cleans_up", function(path) {
  on.exit(cat("cleaned", file = path))
  Sys.sleep(600)
})
tool("computes", function(path) {
  on.exit(cat("cleaned", file = path))
  x <- 0
  repeat x <- x + 1
})
tool("kept_calls", function(ctx) { kept <<- ctx; 1 })

tool("forks", function() {
  unlist(parallel::mclapply(1:3, function(i) i * 10, mc.cores = 2))
})

tool("state", function(ctx) {
  ctx$set("rate", 0.5)
  ctx$set("rate", 0.75)
  code_of <- function(run) tryCatch({ run(); "none" }, snakepit_host_error = function(e) c(class(e)[1], e$code))
  conflict <- code_of(function() ctx$set("rate", 1, expected_version = 0))
  bad <- code_of(function() ctx$set("rate", "text"))
  ctx$register("words", c("a", "b"), type = "list")
  names <- vapply(ctx$variables(), `[[`, "", "name")
  ctx$delete("words")
  list(ctx$variable("rate")$version, conflict, bad, vapply(ctx$history("rate"), `[[`, 0, "value"), names,
       code_of(function() ctx$get("words")))
})

tool("programs", function(ctx) {
  ctx$store_program("p", list(code = I(1)))
  ctx$store_program("g", "all", global = TRUE, ttl = 60)
  found <- list(ctx$program("p"), ctx$program("g", global = TRUE))
  ctx$delete_program("p")
  c(found, tryCatch(ctx$program("p"), not_found = function(e) "gone"))
})

tool("relays", function(n, ctx) {
  found <- c()
  ctx$stream_host("squares", list(n = n), function(item) found <<- c(found, item), pool = "other")
  found
}, stream = TRUE)

tool("host_failures", function(ctx) {
  lapply(list(c("square", "x"), c("nothing", 1), c("breaks", 1)), function(case) {
    tryCatch(ctx$call_tool(case[1], list(n = case[2]), "other"),
             snakepit_host_error = function(e) list(class(e)[1], e$code, e$remote_type))
  })
})

tool("round_trip", function(ctx) {
  m <- matrix(as.numeric(1:3000), 30)
  found <- ctx$call_tool("same", list(m = m, raw = as.raw(c(255, 0))), "other")
  list(identical(found$m, m), as.integer(found$raw))
})

tool("pid", function() Sys.getpid())
odd <- function(message, class = "odd") structure(class = c(class, "error", "condition"), list(message = message, call = NULL))
told <- 0 # stop() asks for the message as well
registerS3method("conditionMessage", "failing", function(c) if ((told <<- told + 1) > 1) stop("no message") else "x")
registerS3method("as.list", "unlistable", function(x, ...) stop("no list of it"))
tool("odd_failure", function(kind) {
  bytes <- "a\xff"
  Encoding(bytes) <- "bytes"
  stop(switch(kind, two = odd(c("one", "two")), none = odd(character(0)), missing = odd(NA_character_),
              bytes = odd(bytes), invalid = odd("a\xff"), list = odd(list(1)), failing = odd("x", "failing"),
              nameless = odd("x", NA)))
})
tool("odd_stream", function() structure(list(1), class = "unlistable"), stream = TRUE)
tool("bytes_of_others", function(ctx) {
  found <- list()
  ctx$stream_host("raws", list(), function(item) {
    found[[length(found) + 1]] <<- if (is.raw(item)) I(as.integer(item)) else item
  }, pool = "other")
  found
})

tool("elements", function() c(5, 6, 7), stream = TRUE)
tool("closes", function(path, n) {
  i <- 0
  stream(function() { i <<- i + 1; if (i > n) end_of_stream() else i }, close = function() cat("closed", file = path))
}, stream = TRUE)
tool("bare", function() { i <- 0; function() { i <<- i + 1; if (i > 2) end_of_stream() else i } }, stream = TRUE)
"""

OTHER = r"""
square <- function(n) { if (!is.numeric(n)) stop("no number") else n * n }
squares <- snakepitBridge::tool("squares", function(n) as.list((seq_len(n) - 1)^2), stream = TRUE)
snakepitBridge::tool("square", square, params = list(n = "int"))
snakepitBridge::tool("same", function(...) list(...))
snakepitBridge::tool("raws", function() list(as.raw(c(255, 0)), raw(0), list(a = 1)), stream = TRUE)
snakepitBridge::tool("breaks", function(n) stop(structure(class = c("broken", "error", "condition"), list(message = "broken", call = NULL))))
"""


def configure(folder, **pool):
    pool = {"size": 1, "cancel_grace": "5s", **pool}
    (folder / "snakepit.yaml").write_text(json.dumps({"pools": [pool]}))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("r")
    (folder / "probe.R").write_text(ADAPTER)
    configure(folder, adapter="probe.R", args=["--one", "2"])
    return folder


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    """A daemon with a pool of the probe, and another one beside it."""
    folder = tmp_path_factory.mktemp("pair")
    (folder / "probe.R").write_text(ADAPTER)
    (folder / "other.R").write_text(OTHER)
    other = {"name": "other", "adapter": str(folder / "other.R"), "size": 1}
    with daemons.running(folder / "d", adapter=str(folder / "probe.R"), more=[other]) as found:
        yield found


def call(place, *words, **more):
    return snakepit("call", *words, cwd=place, **more)


def adapter(folder, text, spec="a.R", **more):
    (folder / "a.R").write_text(text)
    configure(folder, runtime="r", adapter=spec, **more)
    return folder


# ---- which tools there are ----


def test_the_codec():
    done = subprocess.run(
        ["Rscript", ROOT / "bridges/r/tests/test_codec.R"],
        env=dict(os.environ, R_LIBS=str(BRIDGE / "library"), LC_ALL="C.UTF-8"),
        capture_output=True, text=True, timeout=10 * DEADLINE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip() == "98 checks, 0 failures"


def test_a_file_without_declarations_offers_its_functions(tmp_path):
    adapter(tmp_path, "two <- function(x, n = 2) rep(x, n)\nvalue <- 3\nsetup <- function() 1\n")
    assert call(tmp_path, "two", "x=4").json == [4, 4]
    assert call(tmp_path, "setup").code == 4


def test_a_list_of_functions_is_named(tmp_path):
    adapter(tmp_path, "f <- function() 1\nmine <- list(g = function() 2)\n", spec="a.R:mine")
    assert call(tmp_path, "g").json == 2
    assert call(tmp_path, "f").code == 4


@pytest.mark.parametrize("text, spec, reason", [
    ("1", "missing.R", "no such file"),
    ("x <- 1", "a.R", "neither tool() nor a function"),
    ("f <- function() 1", "a.R:none", "has no list or environment none"),
    ("f <- function( {", "a.R", "unexpected"),
    ("library(noSuchPackage)", "a.R", "noSuchPackage"),
    ("f <- function() 1\nsetup <- function() stop('not today')", "a.R", "not today"),
])  # fmt: skip
def test_an_adapter_that_cannot_be_loaded_is_refused_with_the_reason(tmp_path, text, spec, reason):
    adapter(tmp_path, text, spec=spec)
    done = call(tmp_path, "f", "-t", "20s")
    assert done.code != 0 and reason in done.err


def test_the_showcase(tmp_path):
    configure(tmp_path, runtime="r", adapter="showcase")
    assert call(tmp_path, "add", "a=2", "b=3").json == 5
    assert call(tmp_path, "echo", "a=[1]", "b=x").json == {"echoed": {"a": [1], "b": "x"}}
    assert call(tmp_path, "summary", "x=[1,2,3,4]").json["Mean"] == 2.5
    line = call(tmp_path, "regression", "x=[1,2,3]", "y=[2,4,6.5]").json
    assert abs(line["coefficients"]["x"] - 2.25) < 1e-9
    assert line["fitted"]["x"] == [1, 2, 3]
    done = snakepit("stream", "stream_progress", "steps=2", cwd=tmp_path)
    assert [json.loads(each)["progress"] for each in done.lines] == [50, 100]


def test_the_example(tmp_path):
    configure(tmp_path, adapter=str(EXAMPLES / "models.R"))
    frame = {"x": [1, 2, 3], "y": [2, 4, 6]}
    fitted = call(tmp_path, "fit", json.dumps({"frame": frame}), "-s", "mine").json
    assert [round(value, 6) for value in fitted["frame"]["fitted"]] == [2, 4, 6]
    done = snakepit("stream", "walk", "steps=3", cwd=tmp_path)
    assert [json.loads(each)["step"] for each in done.lines] == [1, 2, 3]


def test_a_script_is_a_worker(tmp_path):
    (tmp_path / "own.R").write_text(f".libPaths(c('{BRIDGE}/library', .libPaths()))\n{OTHER}\nsnakepitBridge::serve()\n")
    configure(tmp_path, runtime="exec", command=["Rscript", "own.R"])
    assert call(tmp_path, "square", "n=7").json == 49


# ---- arguments and values ----


@pytest.mark.parametrize("given, found", [
    ({"a": 1}, [1, 10, 4, []]),
    ({"a": 1, "b": 2, "d": 5, "e": "x"}, [1, 2, 5, {"e": "x"}]),
])  # fmt: skip
def test_arguments_find_their_parameters(place, given, found):
    assert call(place, "order", json.dumps(given)).json == found


@pytest.mark.parametrize("words, text", [
    (["order", "b=2"], '"a" is missing'),
    (["refuse", "value=7"], "not 7"),
    (["elements"], "stream"),
])  # fmt: skip
def test_arguments_that_do_not_fit_are_the_callers_fault(place, words, text):
    done = call(place, *words)
    assert "SP-BAD-ARGS" in done.err and text in done.err


def test_data_frames_come_and_go(place):
    frame = {"x": [1, 3, 2], "name": ["a", "b", "c"], "ok": [True, False, True]}
    found = call(place, "kind_of_frame", json.dumps({"frame": frame})).json
    assert found["rows"] == 3
    assert found["classes"] == {"x": "integer", "name": "character", "ok": "logical"}
    assert found["frame"] == {"x": [3, 2, 1], "name": ["b", "c", "a"], "ok": [False, True, True]}


def test_matrices_come_and_go(place):
    found = call(place, "matrix_kind", "m=[[1,2,3],[4,5,6]]").json
    assert found == [True, [2, 3], [[1, 4], [2, 5], [3, 6]]]


def test_setup_and_arguments(place):
    assert call(place, "ready").json is True
    assert call(place, "arguments").json == ["--one", "2"]
    assert call(place, "nothing").json is None


# ---- what a tool may do ----


@pytest.mark.parametrize("tool, text", [
    ("leave_politely", "odd"),
    ("unspeakable", "a value of class function cannot be sent"),
    ("endless_recursion", "SP-REMOTE"),
])  # fmt: skip
def test_whatever_a_tool_does_is_one_failed_call(place, tool, text):
    done = call(place, tool)
    assert done.code == 7 and text in done.err


@pytest.mark.parametrize("kind, text", [
    ("two", "odd: one two"),
    ("none", "odd: "),
    ("missing", "odd: NA"),
    ("bytes", "odd: a<ff>"),
    ("invalid", "odd: a<ff>"),
    ("list", "odd: 1"),
    ("failing", "failing"),
    ("nameless", "NA: x"),
])  # fmt: skip
def test_an_odd_condition_is_one_failed_call(client, kind, text):
    pid = client.execute("pid")
    with pytest.raises(grpc.RpcError) as raised:
        client.execute("odd_failure", {"kind": kind})
    assert text in raised.value.details()
    assert client.execute("pid") == pid


def test_a_stream_that_cannot_be_listed_is_one_failed_call(client):
    pid = client.execute("pid")
    with pytest.raises(grpc.RpcError, match="no list of it"):
        list(client.open_stream("odd_stream"))
    assert client.execute("pid") == pid


@pytest.mark.parametrize("shape", [[True], [-1], [1.5], [None], "x", [[1, 2], [3, 4]]])
def test_a_malformed_tensor_is_the_callers_fault(client, shape):
    pid = client.execute("pid")
    tensor = {"__tensor__": {"dtype": "<f8", "shape": shape}}
    with pytest.raises(grpc.RpcError, match="what stands for a tensor or bytes"):
        client.execute("blame", {"value": tensor})
    assert client.execute("pid") == pid


def test_arguments_that_find_no_memory_are_one_failed_call(tmp_path):
    adapter(tmp_path, "setup <- function() mem.maxVSize(80)\nf <- function(x) c(length(x), Sys.getpid())\n")
    lines = ['{"x":[1]}', json.dumps({"x": [0.5] * 3_000_000}), '{"x":[1,2]}']
    done = snakepit("map", "f", "-k", cwd=tmp_path, stdin="\n".join(lines))
    assert "SP-NOMEM: line 2" in done.err
    before, after = [json.loads(line) for line in done.lines]
    assert (before[0], after[0]) == (1, 2)
    assert before[1] == after[1]


def test_a_warning_is_no_failure(place):
    assert call(place, "warns").json == 1


def test_an_error_tells_the_calls(place):
    done = call(place, "blame", "value=x")
    assert "SP-REMOTE: simpleError: no number: x" in done.err


@pytest.mark.parametrize("tool", ["cleans_up", "computes"])
def test_an_interrupt_runs_on_exit(place, tmp_path, tool):
    noted = tmp_path / "noted"
    done = call(place, tool, f"path={noted}", "-t", "1s")
    assert "SP-TIMEOUT" in done.err
    assert noted.read_text() == "cleaned"


def test_children_of_a_tool_do_no_harm(place):
    assert call(place, "forks").json == [10, 20, 30]


def test_variables(place):
    assert call(place, "state", "-s", "s1").json == [
        1, ["version_conflict", "SP-CONFLICT"], ["bad_value", "SP-BAD-VALUE"], [0.75, 0.5],
        ["rate", "words"], ["not_found", "SP-NOT-FOUND"]]


def test_programs(place):
    assert call(place, "programs", "-s", "s2").json == [{"code": [1]}, "all", "gone"]


def test_streams_of_other_workers(client):
    chunks = client.open_stream("relays", {"n": 4})
    assert [json.loads(chunk.data) for chunk in chunks if chunk.data] == [0, 1, 4, 9]


def test_bytes_of_other_workers_streams(client):
    assert client.execute("bytes_of_others") == [[255, 0], [], {"a": 1}]


def test_failures_of_other_workers_have_classes(client):
    assert client.execute("host_failures") == [
        ["tool_arguments_error", "SP-BAD-ARGS", None],
        ["tool_not_found", "SP-NO-TOOL", None],
        ["tool_error", "SP-REMOTE", "broken"],
    ]


def test_arrays_and_bytes_go_to_other_workers_and_back(client):
    assert client.execute("round_trip") == [True, [255, 0]]


@pytest.mark.parametrize("words, lines", [
    (["elements"], ["5", "6", "7"]),
    (["bare"], ["1", "2"]),
    (["nothing"], ["null"]),
])  # fmt: skip
def test_streams_of_every_form(place, words, lines):
    done = snakepit("stream", *words, cwd=place)
    assert (done.code, done.lines) == (0, lines)


def test_a_stream_is_closed_at_its_end(place, tmp_path):
    done = snakepit("stream", "closes", f"path={tmp_path / 'noted'}", "n=2", cwd=place)
    assert done.lines == ["1", "2"]
    assert (tmp_path / "noted").read_text() == "closed"


def test_every_step_survives_the_collector(tmp_path):
    text = """
library(snakepitBridge)
setup <- function() gctorture2(step = 25)
tool("same", function(...) list(...))
tool("fails", function(text) stop(text))
tool("items", function(n) { i <- 0; stream(function() if (i >= n) end_of_stream() else { i <<- i + 1; list(i = i) }) },
     stream = TRUE)
tool("keeps", function(ctx, v) { ctx$set("v", v); list(ctx$get("v"), ctx$session) })
"""
    adapter(tmp_path, text)
    value = {"a": [1, 10**30, 0.5, "ü", None, {"b": [[1, 2], [3, 4]]}], "t": "y" * 2000}
    lines = "".join(json.dumps({"n": n, **value}) + "\n" for n in range(3))
    done = snakepit("map", "same", cwd=tmp_path, stdin=lines)
    assert [json.loads(line) for line in done.lines] == [{"n": n, **value} for n in range(3)]
    assert "simpleError: snåke" in call(tmp_path, "fails", "text=snåke").err
    done = snakepit("stream", "items", "n=4", cwd=tmp_path)
    assert [json.loads(line)["i"] for line in done.lines] == [1, 2, 3, 4]
    assert call(tmp_path, "keeps", "v=[1,2]", "-s", "s").json == [[1, 2], "s"]


def test_an_event_needs_no_figures(stubs, place, tmp_path):
    program = ["Rscript", "--vanilla", BRIDGE / "snakepit_worker.R"]
    with peers.listening_worker(tmp_path, place / "probe.R", program) as address:
        event = peers.event_of(address, "reports_little", "little")
    assert not event.measurements
