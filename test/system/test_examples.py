# SPDX-License-Identifier: MIT
"""Every example in C, and every adapter, does what it says and leaves no process behind."""

import json
import re
import subprocess

import pytest

import peers
from example_runs import ADAPTERS, EXAMPLES, PROGRAMS, check, run_example

FIBONACCI = [0, 1, 1, 2, 3, 5, 8, 13, 21, 34]
STEMS = (
    "adapter", "basic", "crash", "gil", "hybrid", "parallel", "profiles", "recycling",
    "sessions", "streaming", "telemetry", "tools", "variables",
)  # fmt: skip


def test_every_topic_is_shown_in_three_languages():
    for folder, suffix in (("c", "c"), ("shell", "sh"), ("python", "py")):
        there = {path.stem for path in (EXAMPLES / folder).glob(f"*.{suffix}")}
        assert there >= set(STEMS), folder
    index = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for path in sorted(EXAMPLES.rglob("*")):
        name = str(path.relative_to(EXAMPLES))
        if name.startswith(("c/", "shell/", "python/", "adapters/")):
            if path.suffix in (".c", ".sh", ".py"):
                assert f"({name})" in index, f"{name} is in no table"


def test_hello_prints_the_sum():
    assert run_example(PROGRAMS / "hello") == ['{"result":8}']


def test_stream_prints_ten_numbers_and_leaves_an_endless_stream():
    lines = run_example(PROGRAMS / "streaming")
    chunks = [json.loads(line) for line in lines]
    assert [chunk["value"] for chunk in chunks[:10]] == FIBONACCI
    assert [chunk["index"] for chunk in chunks[10:]] == [1, 2, 3, 4, 5]


def test_session_keeps_two_counters_apart():
    assert run_example(PROGRAMS / "sessions") == [
        'ann set_counter: {"value":41}',
        'bob set_counter: {"value":7}',
        'ann increment_counter: {"value":42}',
        'ann get_counter: {"value":42}',
        'bob get_counter: {"value":7}',
    ]


def test_async_adds_up_a_hundred_answers():
    lines = run_example(PROGRAMS / "parallel")
    assert lines == ["100 calls, the sum of their results is 5050"]


def test_tools_are_called_in_both_directions():
    assert run_example(PROGRAMS / "tools") == [
        "the worker asks for customer 1",
        '"Hello, Grace!"',
        "SP-BAD-ARGS: host tool customer_name: argument number must be at most 2, got 7",
    ]


def test_script_sees_its_workers_gone():
    lines = run_example(PROGRAMS / "script")
    for number, line in enumerate(lines[:4]):
        assert line.startswith(f"worker {number}: python 3.")
    assert json.loads(lines[4])["result"] == pytest.approx(2**0.5)
    assert lines[5:] == ["0 of 4 worker processes are left"]


def test_program_is_made_once_and_runs_twice():
    assert run_example(PROGRAMS / "programs", ADAPTERS / "programs.py") == [
        'to be or not to be: {"words":6,"letters":13}',
        '42: {"words":1,"letters":0}',
    ]


def test_state_is_changed_by_a_worker_within_limits():
    lines = run_example(PROGRAMS / "variables", PROGRAMS / "c_worker_state")
    assert [float(line) for line in lines[:2]] == [2.0, 6.0]
    assert "12" in lines[2] and "10" in lines[2]
    assert lines[3:] == [
        "version 2: 6.0 by step",
        "version 1: 2.0 by step",
        "version 0: 0.0 by the program",
    ]


def test_basic_goes_on_after_every_failure():
    lines = run_example(PROGRAMS / "basic")
    assert lines[0] == "live 1, ready 1"
    assert lines[-2].lstrip().startswith('{"original":"still here"')
    assert lines[-1] == "4 of 8 calls failed, as they should"
    text = "\n".join(lines)
    for fact in (
        'SP-NO-TOOL: pool default has no tool "adds"; near matches: add',
        'SP-BAD-ARGS: tool add: argument a must be a number, got "five"',
        "SP-REMOTE: ValueError: this is a demonstration of a ValueError",
        "SP-TIMEOUT: ",
    ):
        assert text.count(fact) == 1, text
    answers = [line.split("? ")[1] for line in lines if "did it run?" in line]
    assert answers == ["no", "no", "yes", "perhaps"]


def test_adapter_stands_between_program_and_worker():
    check(run_example(PROGRAMS / "adapter", PROGRAMS / "c_worker"), [
        '{"command": "add", "result": 8}',
        '{"command": "echo", "result": {"asked_by": "adapter.c", "text": "hello"}}',
        "SP-REFUSED: echo takes at most 64 bytes, got 72",
        'SP-NO-TOOL: pool default has no tool "multiply"',
    ])  # fmt: skip


def test_crash_costs_one_call_or_none():
    lines = run_example(PROGRAMS / "crash")
    assert lines[:5] == [
        "os.abort[]: SP-WORKER-DIED, signal 6, attempts 1",
        "math.sqrt[2.25]: 1.5",
        "time.sleep, its worker killed: null, attempts 2",
        "os.abort[]: SP-POISON, signal 6, attempts 2",
        "math.sqrt[6.25]: 2.5",
    ]
    ends = [line.split()[1] for line in lines[5:]]
    assert sorted(ends) == ["crashed", "crashed", "crashed", "killed"]


def test_gil_decides_the_profile():
    check(run_example(PROGRAMS / "gil"), [
        re.compile(r"python 3\.\S+, a global lock: processes"),
        re.compile(r'\{"result":1\.85.*"cached":false.*\}'),
        "4 worker(s), room for 4 calls at once",
    ])  # fmt: skip


def test_hybrid_pools_work_side_by_side():
    check(run_example(PROGRAMS / "hybrid"), [
        'add in api: {"result":8}',
        re.compile(r'compute_intensive in any pool: .*"thread":"snakepit-\d"\}'),
        "api: 2 workers, room for 2 calls at once, 1 done",
        "compute: 1 workers, room for 4 calls at once, 1 done",
    ])  # fmt: skip


def test_profiles_differ_in_processes():
    check(run_example(PROGRAMS / "profiles", ADAPTERS / "waiting.py"), [
        re.compile(r"processes: 4 calls, processes: 4, memory: \d+ MiB"),
        re.compile(r"threads: 4 calls, processes: 1, memory: \d+ MiB"),
    ])  # fmt: skip


def test_recycling_is_not_noticed_by_calls():
    lines = run_example(PROGRAMS / "recycling")
    assert [line for line in lines if line.startswith("replaced")] == [
        "replaced: 1", "replaced: 2", "replaced: 3"]
    assert "a relief starts: its age (recycle.after)" in lines
    assert re.fullmatch(r"\d+ calls, all answered; workers died: 0", lines[-1])


def test_telemetry_counts_what_happens():
    check(run_example(PROGRAMS / "telemetry"), [
        re.compile(r"50 calls, \d+ us each on average"),
        re.compile(r"alert: worker default/\d \(pid \d+\) exited with status 3"),
        re.compile(r"requests 51, errors 1, workers died 1, queue peak \d+ of 1000"),
        "events dropped: 0",
    ])  # fmt: skip


def cli(*words):
    return [json.loads(line) for line in run_example(peers.CLI, *words)]


def test_plain_functions_of_a_file_are_tools(tmp_path):
    text = tmp_path / "text"
    text.write_text("one two two\n\nthree Three THREE\n", encoding="utf-8")
    adapter = ("--adapter", ADAPTERS / "wordcount.py")
    assert cli("call", *adapter, "count_file", f"path={text}", "least=4") == [
        {"words": 6, "different": 3, "counts": {"three": 3}}
    ]
    assert cli("stream", *adapter, "lines", f"path={text}") == [
        {"line": 1, "words": 3},
        {"line": 2, "words": 0},
        {"line": 3, "words": 3},
    ]


def test_the_adapter_remembers_between_calls():
    script = "\n".join(
        [
            'learn text="the cat sat on the mat"',
            'score {"words": ["the", "dog"], "weight": 10}',
            "stream countdown start=2",
            'forget {"word": "the"}',
            'score {"words": ["the"]}',
            "who --session ann",
        ]
    )
    lines = run_example(
        peers.CLI, "run", "-", "--adapter", ADAPTERS / "adapter.py", "--size", "1",
        input=script,
    )  # fmt: skip
    assert [json.loads(line) for line in lines] == [
        {"different": 5, "total": 6},
        {"the": 20, "dog": 0},
        {"left": 2},
        {"left": 1},
        {"forgotten": 2},
        {"the": 0},
        {"session": "ann"},
    ]


def test_data_science_over_a_session():
    """The README's adapter: what one call finds out, the session keeps for the next."""
    place = ADAPTERS
    rows = [line.split(",") for line in (place / "plants.csv").read_text().split()]
    data = [dict(zip(rows[0], map(float, row))) for row in rows[1:]]
    train = json.dumps({"data": data, "target": "height"})
    ask = json.dumps({"data": [{"light": 2, "water": 2}]})
    script = [
        f"load_data file_path={place / 'plants.csv'} --session ann",
        f"load_data file_path={place / 'plants.csv'} --session ann",
        f"preprocess --session ann {train}",
        f"train_model --session ann {train}",
        f"predict --session ann {ask}",
        "train_model --session bob model_type=random_forest",
    ]
    lines = run_example(
        peers.CLI, "run", "-", "--adapter", place / "data_science_adapter.py",
        "--size", "1", input="\n".join(script) + "\n",
    )  # fmt: skip
    loaded, again, prepared, trained, predicted, forest = map(json.loads, lines)
    assert loaded == again == {
        "rows": 10, "columns": 3, "column_names": ["light", "water", "height"],
        "dtypes": {"light": "int64", "water": "int64", "height": "float64"},
    }  # fmt: skip
    assert (prepared["train_size"], prepared["test_size"]) == (8, 2)
    assert prepared["feature_means"] == [2.2, 2.1]
    assert trained["model_id"] == "ann_linear_regression" and trained["score"] > 0.99
    assert predicted["model_id"] == "ann_linear_regression"
    assert abs(predicted["predictions"][0] - 15.6) < 0.5
    assert forest["model_id"] == "bob_random_forest" and forest["training_complete"]


def test_the_readme_shows_the_program_that_is_built():
    readme = (peers.ROOT / "README.md").read_text(encoding="utf-8")
    program = (EXAMPLES / "c" / "hello.c").read_text(encoding="utf-8")
    body = program[program.index("int main(void)") :]
    shown = readme[readme.index("int main(void)") :].partition("```")[0]

    def essence(text):
        """Without comments, and whatever the lines are like."""
        return " ".join(re.sub(r"/\*.*?\*/", "", text, flags=re.S).split())

    assert essence(shown) == essence(body)


def test_examples_compile_alone_against_the_public_headers(tmp_path):
    for source in sorted((EXAMPLES / "c").glob("*.c")):
        done = subprocess.run(
            ["cc", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
             "-I", str(peers.ROOT / "include"), "-c", str(source),
             "-o", str(tmp_path / "example.o")],
            capture_output=True, text=True, timeout=peers.DEADLINE_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
