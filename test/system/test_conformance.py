# SPDX-License-Identifier: MIT
"""The conformance list of the bridges (docs/conformance.md): one test a row, run for the
worker of every language in test/system/conformance/, over gRPC, as any client would see
it. A worker dies in some of these tests; the next call meets its successor."""

import contextlib
import json
import math
import os
import pathlib
import re
import time

import pytest

import cli_tool
import daemons
import peers

grpc = pytest.importorskip("grpc", reason="needs python3-grpcio")
numpy = pytest.importorskip("numpy", reason="needs python3-numpy")

WORKERS = peers.HERE / "conformance"
LIST = peers.ROOT / "docs" / "conformance.md"
LANGUAGES = {
    "Python": {"adapter": f"{WORKERS / 'worker.py'}:Conformance", "python": peers.PYTHON},
    "Node.js": {"adapter": str(WORKERS / "worker.js")},
    "Ruby": {"adapter": f"{WORKERS / 'worker.rb'}:Conformance"},
    "R": {"adapter": str(WORKERS / "worker.R")},
    "C": {"runtime": "exec", "command": [str(peers.BUILD / "test/system/conformance_worker")]},
    "stdio": {"runtime": "stdio", "command": [peers.PYTHON, str(WORKERS / "lines.py")]},
}

# The same as workers that listen, without a host.
LISTENING = {
    "Python": [peers.PYTHON, str(peers.WORKER)],
    "Node.js": ["node", str(peers.BUILD / "bridges/node/snakepit_worker.js")],
    "Ruby": ["ruby", str(peers.BUILD / "bridges/ruby/snakepit_worker.rb")],
    "R": ["Rscript", "--vanilla", str(peers.BUILD / "bridges/r/snakepit_worker.R")],
    "C": LANGUAGES["C"]["command"],
}

# (language, row): why there is no such thing in it. Said in the list too.
LINES_OF_TEXT = "its lines are text; large numbers of bytes need a bridge"
NO_WAY_BACK = "its lines go one way; calls to the host need a bridge"
NO_EVENTS = "its lines answer calls and say nothing else"
NO_METADATA = "its lines carry arguments, session and time, no metadata"
UNSUPPORTED = {
    ("stdio", "bytes come in"): LINES_OF_TEXT,
    ("stdio", "bytes go out"): LINES_OF_TEXT,
    ("stdio", "arrays come in"): LINES_OF_TEXT,
    ("stdio", "arrays go out"): LINES_OF_TEXT,
    ("stdio", "a tool sees the metadata of its call"): NO_METADATA,
    ("stdio", "a tool sees its span of the callers trace"): NO_METADATA,
    ("stdio", "tracestate and baggage go along"): NO_METADATA,
    ("stdio", "a tool reports an event"): NO_EVENTS,
    ("stdio", "variables of the session"): NO_WAY_BACK,
    ("stdio", "a variable that is not there"): NO_WAY_BACK,
    ("stdio", "a tool calls another worker"): NO_WAY_BACK,
    ("stdio", "a failure of the other worker arrives"): NO_WAY_BACK,
    ("stdio", "a tool calls a function of the host"): NO_WAY_BACK,
}


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request):
    bridge = cli_tool.BUILD / "bridges" / request.param.lower().removesuffix(".js")
    # The folder is there in any case.
    if "adapter" in LANGUAGES[request.param] and not any(bridge.glob("snakepit_worker.*")):
        pytest.skip(f"the {request.param} bridge is not built: see what meson said of it")
    return request.param


@pytest.fixture(scope="module")
def daemon(language, tmp_path_factory):
    """One worker of the language, and one in Python that it may call."""
    helper = {"name": "helper", "adapter": f"{daemons.PROBE}:Probe", "size": 1}
    with daemons.running(
        tmp_path_factory.mktemp("conformance"),
        more=[helper],
        cancel_grace="500ms",
        hang_grace="500ms",
        **LANGUAGES[language],
    ) as found:
        yield found


@pytest.fixture
def client(stubs, daemon, language, request):
    row = request.node.originalname.removeprefix("test_").replace("_", " ")
    if (language, row) in UNSUPPORTED:
        pytest.skip(f"{language}: {UNSUPPORTED[language, row]}")
    with peers.connected(daemon.address) as found:
        yield found


def echo(client, value):
    return client.execute("echo", {"value": value})


def started(client, tool, notes, **arguments):
    """A call that has begun to run, as a future."""
    arguments["path"] = str(notes.path)
    call = client.bridge.ExecuteTool.future(
        client.request(tool, arguments), timeout=peers.DEADLINE_S
    )
    notes.wait_for("started")
    return call


# ---- values ----


@pytest.mark.parametrize("value", [None, True, False])
def test_null_and_booleans(client, value):
    assert echo(client, value) is value


@pytest.mark.parametrize("value", [0, -1, 2**31, -(2**31) - 1, 2**53, -(2**53)])
def test_integers(client, value):
    found = echo(client, value)
    assert found == value and isinstance(found, int)


@pytest.mark.parametrize("value", [2**53 + 1, 2**63, -(2**64) - 1, 10**30 + 7])
def test_large_integers(client, value):
    assert echo(client, value) == value
    assert client.execute("negate", {"value": value}) == -value


@pytest.mark.parametrize("value", [0.5, -2.25, 1e300, 5e-324, 0.1 + 0.2, 1.7976931348623157e308])
def test_floats(client, value):
    assert echo(client, value) == value


def test_floats_that_are_no_numbers(client):
    nan, plus, minus = client.execute("specials")
    assert math.isnan(nan) and plus == math.inf and minus == -math.inf
    assert client.execute("kind", {"value": math.inf}) == "float"


@pytest.mark.parametrize(
    "value", ["", "snåke 🐍", 'quote " and \\ and \n', "nul \0 inside", "x" * 1_000_000]
)
def test_text(client, value):
    assert echo(client, value) == value


@pytest.mark.parametrize("value", [[], [1, [2, [3]]], [None, True, "a", 0.5]])
def test_lists(client, value):
    assert echo(client, value) == value


@pytest.mark.parametrize("value", [{}, {"a": {"b": [1]}}, {"": 1, "ключ": 2, "a b": None}])
def test_maps(client, value):
    assert echo(client, value) == value


def test_deep_nesting(client):
    value = []
    for _ in range(200):
        value = [value]
    assert echo(client, value) == value


def test_values_have_the_languages_own_types(client):
    kinds = {"null": None, "boolean": True, "integer": 7, "float": 0.5, "string": "a",
             "list": [1], "map": {"a": 1}}
    found = {kind: client.execute("kind", {"value": value}) for kind, value in kinds.items()}
    assert found == {kind: kind for kind in kinds}


def test_bytes_come_in(client):
    data = bytes(range(256)) * 100
    request = client.request("take_bytes")
    request.binary_parameters["data"] = data
    response = client.bridge.ExecuteTool(request, timeout=peers.DEADLINE_S)
    assert json.loads(response.result.value) == [len(data), sum(data)]


@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_bytes_go_out(client, size):
    response = client.bridge.ExecuteTool(
        client.request("make_bytes", {"size": size}), timeout=peers.DEADLINE_S
    )
    assert response.binary_result == bytes(i % 256 for i in range(size))


def test_arrays_come_in(client):
    matrix = numpy.arange(6000, dtype="<f8").reshape(60, 100)
    assert client.execute("total", {"matrix": matrix[:2, :3].tolist()}) == [[2, 3], 306.0]
    stub = {"__tensor__": {"dtype": "<f8", "shape": [60, 100], "part": "matrix"}}
    request = client.request("total", {"matrix": stub})
    request.binary_parameters["matrix"] = matrix.tobytes()
    response = client.bridge.ExecuteTool(request, timeout=peers.DEADLINE_S)
    assert json.loads(response.result.value) == [[60, 100], float(matrix.sum())]


def test_arrays_go_out(client):
    response = client.bridge.ExecuteTool(
        client.request("matrix", {"rows": 60, "columns": 100}), timeout=peers.DEADLINE_S
    )
    stub = json.loads(response.result.value)["__tensor__"]
    assert stub["shape"] == [60, 100]
    found = numpy.frombuffer(response.binary_result, stub["dtype"])
    assert found.tolist() == list(range(6000))
    small = client.execute("matrix", {"rows": 2, "columns": 3})
    assert small == [[0, 1, 2], [3, 4, 5]]


# ---- telemetry ----


def test_a_tool_reports_an_event(language, stubs, tmp_path):
    if (language, "a tool reports an event") in UNSUPPORTED:
        pytest.skip(f"{language}: {NO_EVENTS}")
    trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    baked = {"name": "cake.baked", "amount": 3, "note": "wärm"}
    adapter = LANGUAGES[language].get("adapter")
    with (
        peers.listening_worker(tmp_path, adapter, LISTENING[language]) as address,
        peers.connected(address) as client,
        client.listening() as (events, wishes),
    ):
        heard = client.execute(
            "report",
            baked,
            session_id="s-9",
            metadata={"traceparent": f"00-{trace}-{span}-01"},
        )
        assert heard is (None if language == "Python" else True)  # which does not say
        event = next(e for e in events if list(e.event_parts) == ["cake", "baked"])
        nothing = client.pb.TelemetryEventFilter(deny=["cake.*"])
        wishes.put(client.pb.TelemetryControl(filter=nothing))
        until = time.monotonic() + peers.DEADLINE_S
        while heard:  # the wish is on its way
            assert time.monotonic() < until
            heard = client.execute("report", baked)
    amount = event.measurements["amount"]
    assert getattr(amount, amount.WhichOneof("value")) == 3
    assert event.metadata["note"] == "wärm"
    assert event.metadata["tool"] == "report"
    assert event.metadata["session_id"] == "s-9"
    assert (event.metadata["trace_id"], event.metadata["span_id"]) == (trace, span)


# ---- failures ----


def test_an_error_has_class_message_and_trace(client):
    error, trailers, info = peers.failure(lambda: client.execute("fail", {"message": "no möre"}))
    assert "no möre" in error.details()
    assert trailers["snakepit-executed"] == "yes"
    assert trailers["snakepit-reason"] == "SP-REMOTE"
    assert info["type"].endswith("ConformanceError")
    assert "fail" in info["trace"]


def test_an_error_names_its_cause(client):
    _, _, info = peers.failure(lambda: client.execute("fail", {"message": "x"}))
    assert "the cause" in info["trace"]


def test_the_causes_of_an_error_are_data(client):
    _, _, info = peers.failure(lambda: client.execute("fail", {"message": "x"}))
    (cause,) = json.loads(info["details"])["causes"]
    assert (cause["link"], cause["message"]) == ("cause", "the cause")
    assert cause["type"] not in ("", "ConformanceError")


def test_the_worker_outlives_an_error(client):
    before = client.execute("pid")
    peers.failure(lambda: client.execute("fail", {"message": "x"}))
    assert client.execute("pid") == before


def test_an_unknown_tool_is_refused_with_a_near_one(client):
    error, trailers, _ = peers.failure(lambda: client.execute("ecko", {"value": 1}))
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED
    assert trailers["snakepit-executed"] == "no"
    assert "echo" in error.details()


def test_a_missing_argument_is_a_bad_argument(client):
    error, trailers, _ = peers.failure(lambda: client.execute("add", {"a": 1}))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert trailers["snakepit-reason"] == "SP-BAD-ARGS"
    assert '"b"' in error.details() or "'b'" in error.details()


# ---- streams ----


def chunks(stream):
    return [json.loads(chunk.data) for chunk in stream if chunk.data]


@pytest.mark.parametrize("n", [0, 1, 20_000])
def test_a_stream_comes_whole_and_in_order(client, n):
    assert [c["i"] for c in chunks(client.open_stream("count", {"n": n}))] == list(range(n))


def test_a_stream_may_fail_in_the_middle(client):
    stream = client.open_stream("fail_after", {"n": 3})
    found = []
    error, trailers, info = peers.failure(lambda: found.extend(json.loads(c.data) for c in stream))
    assert [c["i"] for c in found] == [0, 1, 2]
    assert "after 3" in error.details()
    assert info["type"].endswith("ConformanceError")
    assert trailers["snakepit-reason"] == "SP-REMOTE"


def begin_endless(client, notes, tmp_path):
    """A stream of which one chunk has come, and the file that says how many were made."""
    made = tmp_path / "made"
    stream = client.open_stream("endless", {"path": str(notes.path), "made": str(made)})
    next(stream)
    return stream, made


def test_a_stream_waits_for_its_reader(client, notes, tmp_path):
    stream, made = begin_endless(client, notes, tmp_path)
    looks = []

    def stands():
        looks.append(int(made.read_bytes()))
        return len(looks) > 30 and looks[-1] == looks[-30]

    cli_tool.wait_until(stands, "the stream to stand")
    ahead = looks[-1]
    assert ahead < 100_000
    for _ in range(ahead):
        next(stream)
    cli_tool.wait_until(lambda: int(made.read_bytes()) > ahead, "the stream to go on")
    stream.cancel()
    notes.wait_for("closed")


def test_a_cancelled_stream_is_closed(client, notes, tmp_path):
    stream, _ = begin_endless(client, notes, tmp_path)
    stream.cancel()
    notes.wait_for("closed")
    assert client.execute("add", {"a": 2, "b": 3}) == 5


# ---- time ----


def test_a_cancelled_call_hears_of_it(client, notes):
    before = client.execute("pid")
    call = started(client, "sleep", notes, seconds=600)
    call.cancel()
    notes.wait_for("cancelled")
    assert client.execute("pid") == before


def test_a_deadline_ends_a_call(client, notes):
    error, _, _ = peers.failure(
        lambda: client.execute("sleep", {"path": str(notes.path), "seconds": 600}, timeout=0.5)
    )
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    notes.wait_for("cancelled")
    assert client.execute("add", {"a": 2, "b": 3}) == 5


def test_a_tool_sees_the_time_that_is_left(client):
    left = client.execute("time_left", timeout=30)
    assert 0 < left <= 31_000  # grpcio rounds up


def test_a_hung_worker_is_replaced(client, notes):
    before = client.execute("pid")
    call = started(client, "hang", notes)
    call.cancel()
    after = client.execute("pid")
    assert after != before


# ---- the session and the host ----


def test_a_tool_sees_its_session(client):
    assert client.execute("session", session_id="s-1") == "s-1"


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_tool_sees_the_metadata_of_its_call(client):
    found = client.execute("metadata", metadata={"who": "me", "why": "test"})
    assert found == {"who": "me", "why": "test"}


def test_a_tool_sees_its_span_of_the_callers_trace(client):
    parent = f"00-{TRACE}-00f067aa0ba902b7-01"
    found = client.execute("metadata", headers=[("traceparent", parent)])
    version, trace, span, flags = found["traceparent"].split("-")
    assert (version, trace, flags) == ("00", TRACE, "01")
    assert span != "00f067aa0ba902b7"
    assert client.execute("metadata", headers=[("traceparent", "nonsense")]) == {}


def test_tracestate_and_baggage_go_along(client):
    parent = f"00-{TRACE}-00f067aa0ba902b7-01"
    headers = [("traceparent", parent), ("tracestate", "vendor=1"), ("baggage", "user=7,a=b;c=d")]
    found = client.execute("metadata", headers=headers)
    assert sorted(found) == ["baggage", "traceparent", "tracestate"]
    assert found["tracestate"] == "vendor=1"
    assert found["baggage"] == "user=7,a=b;c=d"
    # Without a trace there is nothing for its state to be about.
    assert client.execute("metadata", headers=headers[1:]) == {"baggage": "user=7,a=b;c=d"}
    too_long = "x=" + "y" * 8191
    assert client.execute("metadata", headers=[("baggage", too_long)]) == {}


def test_variables_of_the_session(client):
    value = {"deep": [1, "två", None]}
    client.execute("set_variable", {"name": "v", "value": 0.5}, session_id="s-2")
    assert client.execute("get_variable", {"name": "v"}, session_id="s-2") == 0.5
    client.execute("set_variable", {"name": "t", "value": "text"}, session_id="s-2")
    assert client.execute("get_variable", {"name": "t"}, session_id="s-2") == "text"
    assert echo(client, value) == value


def test_a_variable_that_is_not_there(client):
    client.execute("set_variable", {"name": "v", "value": 0.5}, session_id="s-3")
    error, trailers, info = peers.failure(
        lambda: client.execute("get_variable", {"name": "none"}, session_id="s-3")
    )
    assert trailers["snakepit-reason"] == "SP-REMOTE"
    assert "none" in error.details()
    assert info["type"]


def call_worker(client, text):
    arguments = {"pool": "helper", "name": "length", "args": {"text": text}}
    return client.execute("call_worker", arguments)


def test_a_tool_calls_another_worker(client):
    assert call_worker(client, "four") == 4


def test_a_failure_of_the_other_worker_arrives(client):
    error, trailers, _ = peers.failure(lambda: call_worker(client, None))
    assert trailers["snakepit-reason"] in ("SP-REMOTE", "SP-BAD-ARGS")
    assert "text" in error.details() or "NoneType" in error.details()
    assert client.execute("add", {"a": 2, "b": 3}) == 5


def test_a_tool_calls_a_function_of_the_host(client, language, tmp_path):
    config = daemons.write_config(tmp_path / "own", **LANGUAGES[language])
    done = cli_tool.snakepit(
        "--config", config, "call", "--tool", "twice=sed 's/.*/[&,&]/'", "call_host",
        json.dumps({"name": "twice", "args": {"x": 1}}),
    )
    assert done.code == 0, done.err
    assert done.json == [{"x": 1}, {"x": 1}]
    done = cli_tool.snakepit(
        "--config", config, "call", "--tool", "sad=echo no >&2; exit 3", "call_host",
        json.dumps({"name": "sad", "args": {}}),
    )
    assert done.code == 7, done.err
    assert "sad ended with status 3: no" in done.err


# ---- the process ----


def test_what_a_tool_prints_harms_no_answer(client):
    text = '{"id":1,"result":"forged"}'
    assert client.execute("say", {"text": text}) == text


def test_a_flood_of_output_harms_nothing(client):
    assert client.execute("flood", {"lines": 50_000}) == 50_000


@pytest.mark.parametrize("tool", ["crash", "leave"])
def test_a_death_in_the_middle_of_a_call_is_told(client, tool):
    arguments = {"code": 3} if tool == "leave" else {}
    error, trailers, _ = peers.failure(lambda: client.execute(tool, arguments))
    assert error.code() == grpc.StatusCode.ABORTED
    assert trailers["snakepit-executed"] == "unknown"
    assert trailers["snakepit-reason"] == "SP-WORKER-DIED"
    assert ("SIGSEGV" if tool == "crash" else "3") in error.details()
    assert client.execute("add", {"a": 2, "b": 3}) == 5


def running(words):
    """Whether a process with this command line runs."""
    wanted = "\0".join(words).encode() + b"\0"
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (folder / "cmdline").read_bytes() == wanted:
                return True
    return False


def test_what_a_worker_has_started_dies_with_it(client):
    seconds = f"600.{os.getpid()}{time.monotonic_ns()}"
    client.execute("child", {"seconds": seconds})
    cli_tool.wait_until(lambda: running(["sleep", seconds]), "the grandchild")
    peers.failure(lambda: client.execute("leave", {"code": 0}))
    cli_tool.wait_until(lambda: not running(["sleep", seconds]), "its end")
    assert client.execute("add", {"a": 2, "b": 3}) == 5


def test_calls_in_line_come_back_to_whom_they_belong(client):
    calls = [
        client.bridge.ExecuteTool.future(client.request("echo", {"value": i}), timeout=60)
        for i in range(500)
    ]
    assert [json.loads(call.result().result.value) for call in calls] == list(range(500))


# ---- the list ----


def rows():
    """The rows of the list: name, and the cell of each language."""
    text = LIST.read_text(encoding="utf-8")
    table = re.search(r"^\| behaviour \|(.*)\|\n\|[-| :]+\|\n((?:\|.*\n)+)", text, re.M)
    languages = [word.strip() for word in table[1].split("|")]
    for line in table[2].splitlines():
        name, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        yield name, dict(zip(languages, cells))


def test_the_list_says_what_is_tested():
    tests = {
        name.removeprefix("test_").replace("_", " ")
        for name, function in globals().items()
        if name.startswith("test_") and "client" in function.__code__.co_varnames
    }
    listed = dict(rows())
    assert set(listed) == tests
    for row, cells in listed.items():
        assert set(cells) == set(LANGUAGES), row
        for language, cell in cells.items():
            if (language, row) in UNSUPPORTED:
                assert re.fullmatch(r"–\[\^\w+\]", cell), (language, row)
            else:
                assert cell == "yes", (language, row)


def test_every_exception_says_why():
    text = LIST.read_text(encoding="utf-8")
    for row, cells in rows():
        for language, cell in cells.items():
            if cell != "yes":
                mark = cell.removeprefix("–")
                why = UNSUPPORTED[language, row]
                assert f"\n{mark}: {language}: {why}.\n" in text, (language, row)
