# SPDX-License-Identifier: MIT
"""snakepit status and tools: what a pit is like, for people and for programs."""

import json
from concurrent import futures

import daemons
import peers
import pytest
from cli_tool import on_terminal, snakepit

grpc = pytest.importorskip("grpc", reason="needs python3-grpcio")

ADAPTER = '''
from snakepit_bridge import BaseAdapter, tool

class Adapter(BaseAdapter):
    @tool
    def one(self, name: str, times: int = 2, rate: float = 0.1):
        """Do one thing."""
        return name * times

    @tool
    def steps(self, to: int):
        """Count the steps."""
        yield from range(to)
'''


@pytest.fixture
def here(tmp_path):
    (tmp_path / "a.py").write_text(ADAPTER)
    return tmp_path


def rows(done):
    """The lines above the last two, which tell of orphans and sessions, and the gap."""
    assert done.lines[-1].startswith("sessions: ")
    assert done.lines[-2].startswith("orphan-safety: ") and done.lines[-3] == ""
    return [line.split() for line in done.lines[:-3] if line]


def test_status_is_a_table_of_pools(here):
    (here / "snakepit.yaml").write_text(
        "pools:\n- {name: one, adapter: a.py, size: 2}\n- {name: two, size: 1}\n")
    done = snakepit("status", cwd=here)
    assert (done.code, done.err) == (0, "")
    head, one, two = rows(done)
    assert head[:4] == ["POOL", "STATE", "WORKERS", "READY"]
    assert one[:4] == ["one", "running", "2", "2"]
    assert two[:4] == ["two", "running", "1", "1"]


def test_status_tells_of_the_sessions():
    done = snakepit("status")
    assert done.lines[-1] == (
        "sessions: 0 of at most 10000, durability memory, store none"
    )


def test_status_tells_of_stored_sessions(tmp_path):
    (tmp_path / "snakepit.yaml").write_text(
        "state_dir: state\nsessions: {max: 7, durability: durable}\npools: [{size: 1}]\n")
    done = snakepit("status", cwd=tmp_path)
    assert done.lines[-1] == "sessions: 0 of at most 7, durability durable, store ok"
    assert (tmp_path / "state").is_dir()
    told = json.loads(snakepit("status", "-o", "json", cwd=tmp_path).out)["sessions"]
    assert (told["count"], told["max"], told["store"]) == (0, 7, "ok")


@pytest.mark.parametrize("words", [["-o", "wide"], ["--workers"], ["-w"]])
def test_workers_are_listed_on_request(words):
    done = snakepit("status", "--size", "2", *words)
    assert done.code == 0
    assert [row[:2] for row in rows(done)[-2:]] == [["default/0", "ready"],
                                              ["default/1", "ready"]]


def test_status_as_json():
    done = snakepit("status", "-o", "json", "--size", "2", "--set", "instance=here")
    assert done.code == 0
    status = done.json
    assert status["version"] == 1
    assert (status["instance"], status["state"]) == ("here", "running")
    pool = status["pools"][0]
    assert (pool["name"], pool["workers"], pool["available"]) == ("default", 2, 2)
    assert (pool["profile"], pool["capacity"]) == ("process", 2)
    assert [w["capacity"] for w in pool["worker_list"]] == [1, 1]
    assert [w["state"] for w in pool["worker_list"]] == ["ready", "ready"]
    assert status["orphan_safety"].split()[0] in (
        "namespace",
        "cgroup",
        "subreaper",
        "lifeline",
    )
    assert all(w["pid"] > 0 and w["runtime"].startswith("python 3")
               for w in pool["worker_list"])


def test_a_zygote_is_shown(here):
    words = ["--size", "2", "-a", "a.py", "--set", "pool.zygote=on"]
    done = snakepit("status", *words, cwd=here)
    assert done.code == 0
    line = next(line for line in done.lines if line.startswith("zygote of default: "))
    assert "ready, pid " in line and "2 workers forked" in line
    pool = snakepit("status", "-o", "json", *words, cwd=here).json["pools"][0]
    zygote = pool["zygote"]
    assert (zygote["mode"], zygote["state"]) == ("on", "ready")
    assert (zygote["forked"], zygote["started"]) == (2, 1)
    assert [w["forked"] for w in pool["worker_list"]] == [True, True]


def test_deaths_are_listed_on_request(here):
    (here / "dies.py").write_text("raise SystemExit('no way')\n")
    done = snakepit("status", "--deaths", "-q", "--size", "1", "-a", "dies.py", cwd=here)
    assert done.code == 2
    head, row = rows(done)[-2:]
    assert head[:3] == ["WORKER", "PID", "WHY"]
    assert (row[0], row[2]) == ("default/0", "refused")
    done = snakepit("status", "-o", "json", "-q", "--size", "1", "-a", "dies.py", cwd=here)
    death = done.json["pools"][0]["deaths"][-1]
    assert (death["why"], death["was_ready"], death["calls"]) == ("refused", False, [])
    assert "no way" in death["last_lines"]


def test_a_pool_that_is_not_ready_is_degraded_or_failed(here):
    (here / "snakepit.yaml").write_text(
        "pools:\n- {name: good, adapter: a.py, size: 1}\n"
        "- {name: bad, adapter: no.such:Thing, size: 1}\n")
    done = snakepit("status", "-o", "json", cwd=here)
    assert (done.code, done.json["state"]) in [(1, "degraded"), (2, "failed")]
    states = {pool["name"]: pool["state"] for pool in done.json["pools"]}
    assert states["bad"] == "failed"
    done = snakepit("status", "-o", "json", "-p", "bad", cwd=here)
    assert (done.code, done.json["state"]) == (2, "failed")
    assert done.error["name"] == "SP-START-FAILED"


def test_the_level_of_orphan_safety_can_be_chosen():
    words = ["status", "-o", "json", "--size", "1", "--set"]
    done = snakepit(*words, "guard.level=subreaper")
    assert done.json["orphan_safety"] == "subreaper"
    done = snakepit(*words, "guard.level=lifeline", "--set", "guard.require=subreaper")
    assert (done.code, done.error["name"]) == (3, "SP-GUARD")
    assert "subreaper is required" in done.error["message"]


def test_tools_are_a_table(here):
    done = snakepit("tools", "-a", "a.py", cwd=here)
    assert done.code == 0
    assert [line.split()[0] for line in done.lines] == ["TOOL", "one", "steps"]
    assert "name: str, times: int = 2, rate: float = 0.1" in done.lines[1]
    assert done.lines[1].endswith("Do one thing.")
    assert done.lines[2].split()[1] == "stream"


def test_tools_by_name_for_completion(here):
    assert snakepit("tools", "--names", "-a", "a.py", cwd=here).lines == ["one", "steps"]


def test_one_tool_is_explained(here):
    done = snakepit("tools", "one", "-a", "a.py", cwd=here)
    assert done.code == 0
    assert "Do one thing." in done.out
    assert "snakepit call one name=TEXT" in done.out
    assert "0.1" in done.out
    # The example that is shown works.
    done = snakepit("call", "one", "name=TEXT", "-a", "a.py", cwd=here)
    assert done.json == "TEXTTEXT"


def test_tools_as_json(here):
    tools = snakepit("tools", "-o", "json", "-a", "a.py", cwd=here).json
    assert tools["version"] == 1
    one = tools["tools"][0]
    assert one["name"] == "one"
    assert one["parameters"][1] == {"name": "times", "type": "int", "description": "",
                                    "required": False, "default": 2}
    lines = snakepit("tools", "-o", "jsonl", "-a", "a.py", cwd=here).lines
    assert [json.loads(line)["name"] for line in lines] == ["one", "steps"]
    tool = snakepit("tools", "one", "-o", "json", "-a", "a.py", cwd=here).json["tool"]
    assert tool == one


def test_an_unknown_tool_has_near_matches(here):
    done = snakepit("tools", "stepz", "-a", "a.py", cwd=here)
    assert (done.code, done.out) == (4, "")
    assert 'did you mean "steps"?' in done.err


def test_a_pool_without_tools_says_how_to_call(here):
    done = snakepit("tools", "-a", "none", cwd=here)
    assert (done.code, done.out) == (0, "")
    assert "dotted names" in done.err


def test_colours_need_a_terminal_and_consent():
    code, shown, _ = on_terminal("status", "--size", "1")
    assert (code, "\x1b[1mPOOL" in shown) == (0, True)
    for words, env in [(["--no-color"], {}), ([], {"NO_COLOR": "1"}),
                       ([], {"TERM": "dumb"})]:
        _, shown, _ = on_terminal("status", "--size", "1", *words, env=env)
        assert "\x1b[1m" not in shown
    assert "\x1b" not in snakepit("status", "--size", "1").out


# --- of a daemon -----------------------------------------------------------------------


def test_status_is_that_of_the_daemon_that_runs(tmp_path, tmp_path_factory):
    peers.make_stubs(tmp_path_factory.mktemp("stubs"))
    with daemons.running(tmp_path) as daemon:
        config = ["--config", tmp_path / "snakepit.yaml"]
        status = json.loads(snakepit("status", "-o", "json", *config).out)
        assert status["pid"] == daemon.process.pid
        assert status["instance"].startswith("test-")
        assert status["uptime_ms"] > 0
        [worker] = status["pools"][0]["worker_list"]
        assert snakepit("status", "-o", "json", "--connect", daemon.address).code == 0
        # The same worker, called meanwhile: nothing was started to be looked at.
        with grpc.insecure_channel(daemon.address) as channel:
            assert peers.Client(channel).execute("add", {"a": 1, "b": 2}) == 3
        address = {"SNAKEPIT_ADDRESS": daemon.address}
        again = json.loads(snakepit("status", "-o", "json", env=address).out)
        [same] = again["pools"][0]["worker_list"]
        assert (same["pid"], same["calls_total"]) == (worker["pid"], worker["calls_total"] + 1)
        wide = snakepit("status", "-o", "wide", *config)
        assert str(worker["pid"]) in wide.out and wide.code == 0
        # What describes a pit asks for one of its own.
        own = json.loads(snakepit("status", "-o", "json", "--size", "2", *config).out)
        assert own["pid"] != daemon.process.pid and own["pools"][0]["workers"] == 2


def test_status_of_a_daemon_may_be_of_one_pool(tmp_path):
    more = [{"name": "other", "adapter": "showcase", "size": 2}]
    with daemons.running(tmp_path, more=more) as daemon:
        where = ["--connect", daemon.address]
        other = json.loads(snakepit("status", "-o", "json", "-p", "other", *where).out)
        assert [pool["name"] for pool in other["pools"]] == ["other"]
        none = snakepit("status", "-p", "nobody", *where)
        assert (none.code, none.out) == (4, "")
        assert 'no pool "nobody"' in none.err


def test_a_daemon_that_is_named_must_be_there(tmp_path):
    done = snakepit("status", "--connect", f"unix:{tmp_path}/nobody")
    assert (done.code, done.out) == (3, "")


def test_a_report_that_is_no_json_is_the_daemons_mistake(tmp_path):
    def report(_request, _context):
        return b"\x0a\x07no json"

    server = grpc.server(futures.ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(
        "snakepit.control.v1.Control",
        {"GetReport": grpc.unary_unary_rpc_method_handler(report)})])
    address = f"unix:{tmp_path}/daemon.sock"
    assert server.add_insecure_port(address) != 0
    server.start()
    try:
        for command in ["status", "inspect", "advise", "top"]:
            done = snakepit(command, "--connect", address, "-o", "json")
            assert (done.code, done.out) == (7, "")
            error = json.loads(done.err)["error"]
            assert error["name"] == "SP-PROTOCOL" and error["exit"] == 7
            assert "is no JSON" in error["message"]
    finally:
        server.stop(None).wait(60)
