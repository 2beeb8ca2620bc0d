# SPDX-License-Identifier: MIT
"""What a pool of Python workers can be held to: `thread_checks`, `require_gil_disabled`,
`requirements`."""

import subprocess

import pytest

import cli_tool
import peers
import states
from test_threads import free_threaded

HERE = peers.HERE
ADAPTER = HERE / "careless_adapter.py"


def write_config(place, adapter=ADAPTER, python=peers.PYTHON, **keys):
    config = states.write_config(place, careless=(adapter, 1))
    lines = [line for line in config.read_text().splitlines() if "python:" not in line]
    lines += [f"    python: {python}", "    profile: thread", "    threads: 2"]
    lines += [f"    {key}: {value}" for key, value in keys.items()]
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return config


def change_twice(pit):
    """Two calls that meet; what each ended with."""
    ended = []
    for call in [pit.begin("change", {}, "") for _ in range(2)]:
        try:
            ended.append(pit.result(call))
        except states.Refused as refused:
            ended.append(str(refused))
    return ended


def test_state_without_a_lock_is_found_and_where(tmp_path):
    with states.ToolPit(write_config(tmp_path, thread_checks="warn")) as pit:
        assert pit.execute("found") == []
        change_twice(pit)
        assert pit.execute("found") == [
            ["Careless.changes", "careless_adapter.py", "change", "change"]
        ]


def test_in_strict_mode_the_call_fails(tmp_path):
    with states.ToolPit(write_config(tmp_path, thread_checks="strict")) as pit:
        assert "SP-REMOTE" in change_twice(pit)
        assert [found[0] for found in pit.execute("found")] == ["Careless.changes"]


def test_without_it_nothing_is_watched(tmp_path):
    with states.ToolPit(write_config(tmp_path)) as pit:
        change_twice(pit)
        assert pit.execute("found") == []


def start_failure(config, python=peers.PYTHON):
    done = cli_tool.snakepit(
        "--config", config, "call", "found", env={"SNAKEPIT_PYTHON": str(python)})
    assert done.code != 0
    return done.err


def test_an_interpreter_with_its_lock_is_refused(tmp_path):
    why = start_failure(write_config(tmp_path, require_gil_disabled="yes"))
    assert "GilIsOn" in why and "has a global interpreter lock (GIL)" in why


def test_missing_packages_are_said_before_anything_is_imported(tmp_path):
    (tmp_path / "requirements.txt").write_text("pytest\nno-such-package>=2\n")
    adapter = tmp_path / "never.py"
    adapter.write_text("raise RuntimeError('imported')\n")
    config = write_config(tmp_path, adapter, requirements="requirements.txt")
    why = start_failure(config)
    assert "no-such-package>=2 is not installed" in why and "imported" not in why
    (tmp_path / "requirements.txt").write_text("pytest>=1\n")
    assert "imported" in start_failure(config)


def build_old_extension(python, folder):
    """An extension that does not say that it can do without the lock."""
    source = folder / "old_times.c"
    source.write_text(
        "#include <Python.h>\n"
        "static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, .m_name = \"old_times\"};\n"
        "PyMODINIT_FUNC PyInit_old_times(void) { return PyModule_Create(&def); }\n"
    )
    facts = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('include'));"
         "print(sysconfig.get_config_var('EXT_SUFFIX'))"],
        stdout=subprocess.PIPE, text=True, check=True,
    ).stdout.split()  # fmt: skip
    subprocess.run(
        ["cc", "-shared", "-fPIC", f"-I{facts[0]}", source, "-o",
         folder / f"old_times{facts[1]}"], check=True)  # fmt: skip


def test_an_import_that_turns_the_lock_on_is_named(tmp_path):
    if "LD_PRELOAD" in peers.ENVIRONMENT:
        pytest.skip("the extension for this interpreter is built without the sanitizer")
    python = free_threaded()
    build_old_extension(python, tmp_path)
    adapter = tmp_path / "imports_it.py"
    adapter.write_text(
        f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport old_times\n"
        "__thread_safe__ = True\ndef found():\n    return []\n"
    )
    config = write_config(tmp_path, adapter, python, require_gil_disabled="yes")
    why = start_failure(config, python)
    assert "the import of old_times" in why and "has turned the global" in why
    adapter.write_text("__thread_safe__ = True\ndef found():\n    return []\n")
    with states.ToolPit(config) as pit:
        assert pit.execute("found") == []
