# SPDX-License-Identifier: MIT
"""snakepit init and gen: what they write works as it is."""

import json

import pytest
from cli_tool import PYTHON, snakepit


def test_init_gives_a_project_that_works_at_once(tmp_path):
    done = snakepit("init", "demo", cwd=tmp_path)
    assert (done.code, done.out) == (0, "")
    demo = tmp_path / "demo"
    assert sorted(p.name for p in demo.iterdir()) == ["adapter.py", "snakepit.yaml"]
    # Every command it names.
    commands = [line.split()[1:] for line in done.err.splitlines()
                if line.startswith("  snakepit ")]
    assert len(commands) == 3
    for words in commands:
        ran = snakepit(*words, cwd=demo)
        assert ran.code == 0, ran.err
    hello = snakepit("call", "hello", "name=Ada", "shout=true", cwd=demo)
    assert hello.json == {"message": "HELLO, ADA!", "calls": 1}
    lines = snakepit("stream", "countdown", "start=3", "delay=0", cwd=demo).lines
    assert [json.loads(line)["number"] for line in lines] == [3, 2, 1]
    assert snakepit("config", "check", cwd=demo).out == \
        "snakepit.yaml: ok, 1 pool, 2 workers\n"
    assert snakepit("status", "-o", "json", cwd=demo).json["instance"] == "demo"
    assert snakepit("call", "mean", "values=[]", cwd=demo).code == 7


def test_the_project_works_from_elsewhere(tmp_path):
    snakepit("init", "demo", cwd=tmp_path)
    done = snakepit("--config", "demo/snakepit.yaml", "call", "hello", "name=Bo",
                    cwd=tmp_path)
    assert done.json["message"] == "Hello, Bo!"


def test_init_here_takes_the_folder_for_the_instance(tmp_path):
    here = tmp_path / "My project!"
    here.mkdir()
    assert snakepit("init", cwd=here).code == 0
    assert "instance: My-project-\n" in (here / "snakepit.yaml").read_text()
    assert snakepit("config", "check", cwd=here).code == 0


def test_nothing_is_replaced_without_force(tmp_path):
    (tmp_path / "adapter.py").write_text("mine\n")
    done = snakepit("init", cwd=tmp_path)
    assert done.code == 5
    assert "--force" in done.err
    assert [p.name for p in tmp_path.iterdir()] == ["adapter.py"]
    assert (tmp_path / "adapter.py").read_text() == "mine\n"
    assert snakepit("init", "--force", cwd=tmp_path).code == 0
    assert "class Adapter" in (tmp_path / "adapter.py").read_text()


def test_init_into_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    done = snakepit("init", "file", cwd=tmp_path)
    assert (done.code, done.err) == (5, "error: file: Not a directory\n")


@pytest.mark.parametrize("name, file, class_name", [
    ("weather", "weather.py", "Weather"),
    ("weather_station.py", "weather_station.py", "WeatherStation"),
    ("x9", "x9.py", "X9"),
])
def test_a_generated_adapter_runs(tmp_path, name, file, class_name):
    done = snakepit("gen", "adapter", name, cwd=tmp_path)
    assert (done.code, done.out) == (0, "")
    assert f"class {class_name}(BaseAdapter):" in (tmp_path / file).read_text()
    ran = snakepit("call", "-a", file, "hello", "name=Ada", cwd=tmp_path)
    assert ran.json == {"message": "Hello, Ada!", "calls": 1}
    assert snakepit("tools", "--names", "-a", file, cwd=tmp_path).lines == [
        "countdown", "hello", "mean"]
    assert snakepit("gen", "adapter", name, cwd=tmp_path).code == 5


@pytest.mark.parametrize("words", [[], ["adapter"], ["adaptor", "x"], ["adapter", "a-b"],
                                   ["adapter", "9x"], ["adapter", "../x"],
                                   ["adapter", "x", "--lang", "cobol"]])
def test_gen_refuses_what_it_cannot_write(tmp_path, words):
    done = snakepit("gen", *words, cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert list(tmp_path.iterdir()) == []


def test_the_template_is_plain_python(tmp_path):
    snakepit("gen", "adapter", "plain", cwd=tmp_path)
    compile((tmp_path / "plain.py").read_text(), "plain.py", "exec")
    assert PYTHON
