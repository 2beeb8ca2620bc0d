# SPDX-License-Identifier: MIT
"""Every example does what it says, and leaves no process behind."""

import json
import re
import subprocess
import uuid

import pytest

import cli_tool
import peers

EXAMPLES = peers.ROOT / "examples"
PROGRAMS = peers.BUILD / "examples"
FIBONACCI = [0, 1, 1, 2, 3, 5, 8, 13, 21, 34]


@pytest.fixture
def mark():
    """A word in the environment that everything an example starts inherits."""
    return uuid.uuid4().hex


def run_example(mark, *command, **options):
    """What an example prints."""
    environment = cli_tool.environment(mark, SNAKEPIT=str(peers.CLI))
    done = peers.run(*command, env=environment, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert cli_tool.marked(mark) == []
    return done.stdout.splitlines()


def test_hello_prints_the_sum(mark):
    assert run_example(mark, PROGRAMS / "01_hello") == ['{"result":8}']


def test_stream_prints_ten_numbers_and_leaves_an_endless_stream(mark):
    lines = run_example(mark, PROGRAMS / "02_stream")
    chunks = [json.loads(line) for line in lines]
    assert [chunk["value"] for chunk in chunks[:10]] == FIBONACCI
    assert [chunk["index"] for chunk in chunks[10:]] == [1, 2, 3, 4, 5]


def test_session_keeps_two_counters_apart(mark):
    assert run_example(mark, PROGRAMS / "03_session") == [
        'ann set_counter: {"value":41}',
        'bob set_counter: {"value":7}',
        'ann increment_counter: {"value":42}',
        'ann get_counter: {"value":42}',
        'bob get_counter: {"value":7}',
    ]


def test_async_adds_up_a_hundred_answers(mark):
    lines = run_example(mark, PROGRAMS / "04_async")
    assert lines == ["100 calls, the sum of their results is 5050"]


def test_tools_are_called_in_both_directions(mark):
    assert run_example(mark, PROGRAMS / "08_tools_both_ways") == [
        "the worker asks for customer 1",
        '"Hello, Grace!"',
        "SP-BAD-ARGS: host tool customer_name: argument number must be at most 2, got 7",
    ]


def test_script_sees_its_workers_gone(mark):
    lines = run_example(mark, PROGRAMS / "05_script")
    for number, line in enumerate(lines[:4]):
        assert line.startswith(f"worker {number}: python 3.")
    assert json.loads(lines[4])["result"] == pytest.approx(2**0.5)
    assert lines[5:] == ["0 of 4 worker processes are left"]


def test_program_is_made_once_and_runs_twice(mark):
    assert run_example(mark, PROGRAMS / "06_program", EXAMPLES / "programs.py") == [
        'to be or not to be: {"words":6,"letters":13}',
        '42: {"words":1,"letters":0}',
    ]


def test_state_is_changed_by_a_worker_within_limits(mark):
    lines = run_example(mark, PROGRAMS / "07_state", PROGRAMS / "c_worker_state")
    assert [float(line) for line in lines[:2]] == [2.0, 6.0]
    assert "12" in lines[2] and "10" in lines[2]
    assert lines[3:] == [
        "version 2: 6.0 by step",
        "version 1: 2.0 by step",
        "version 0: 0.0 by the program",
    ]


def test_shell_example_prints_results_and_nothing_else(mark):
    assert run_example(mark, EXAMPLES / "hello.sh") == [
        '{"result":8}',
        "2.5",
        '{"words":6,"top":[["to",2],["be",2]]}',
        '{"left":3}',
        '{"left":2}',
        '{"left":1}',
        "error_demo ended with status 7",
    ]


def test_sessions_are_kept_from_one_command_to_the_next(mark, tmp_path):
    env = cli_tool.environment(mark, SNAKEPIT=str(peers.CLI),
                               SNAKEPIT_STATE_DIR=str(tmp_path / "state"))
    done = peers.run(EXAMPLES / "sessions.sh", env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [
        "3 is refused: 2", "0.9", "large", "somebody came first: 5", "4", "temperature",
        "model", '{"text": "Answer in one word."}']
    assert cli_tool.marked(mark) == []


def cli(mark, *words):
    return [json.loads(line) for line in run_example(mark, peers.CLI, *words)]


def test_plain_functions_of_a_file_are_tools(mark, tmp_path):
    text = tmp_path / "text"
    text.write_text("one two two\n\nthree Three THREE\n", encoding="utf-8")
    adapter = ("--adapter", EXAMPLES / "wordcount.py")
    assert cli(mark, "call", *adapter, "count_file", f"path={text}", "least=4") == [
        {"words": 6, "different": 3, "counts": {"three": 3}}
    ]
    assert cli(mark, "stream", *adapter, "lines", f"path={text}") == [
        {"line": 1, "words": 3},
        {"line": 2, "words": 0},
        {"line": 3, "words": 3},
    ]


def test_the_adapter_remembers_between_calls(mark):
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
        mark, peers.CLI, "run", "-", "--adapter", EXAMPLES / "adapter.py", "--size", "1",
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


def test_data_science_over_a_session(mark):
    """The README's adapter: what one call finds out, the session keeps for the next."""
    place = EXAMPLES / "python"
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
        mark, peers.CLI, "run", "-", "--adapter", place / "data_science_adapter.py",
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
    program = (EXAMPLES / "01_hello.c").read_text(encoding="utf-8")
    body = program[program.index("int main(void)") :]
    shown = readme[readme.index("int main(void)") :].partition("```")[0]

    def essence(text):
        """Without comments, and whatever the lines are like."""
        return " ".join(re.sub(r"/\*.*?\*/", "", text, flags=re.S).split())

    assert essence(shown) == essence(body)


def test_examples_compile_alone_against_the_public_headers(tmp_path):
    for source in sorted(EXAMPLES.glob("0*.c")):
        done = subprocess.run(
            ["cc", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
             "-I", str(peers.ROOT / "include"), "-c", str(source),
             "-o", str(tmp_path / "example.o")],
            capture_output=True, text=True, timeout=peers.DEADLINE_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


def test_profiles_are_tried_side_by_side(mark):
    assert run_example(mark, EXAMPLES / "profiles" / "run.sh") == [
        "processes: 4 processes",
        "threads: 4 threads in 1 process",
        "this interpreter: profile process",
        "short-lived: 10 calls, at most 3 for one worker",
    ]
