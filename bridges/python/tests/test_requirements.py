# SPDX-License-Identifier: MIT
"""Requirements files against what is installed: versions as PEP 440 orders them, lines as
pip reads them."""

import sys

import pytest

from snakepit_bridge import _requirements as requirements

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"


def test_versions_are_ordered():
    ordered = [
        "1.dev0", "1.0a1.dev1", "1.0a1", "1.0b2", "1.0rc1", "1.0", "1.0.post1.dev2",
        "1.0.post1", "1.1.dev1", "1.1", "1.10", "2.0", "1!0.1",
    ]
    keys = [requirements.version_key(text) for text in ordered]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)
    assert requirements.version_key("v1.0.0") == requirements.version_key("1")
    assert requirements.version_key("1.0+local.7") == requirements.version_key("1.0")
    with pytest.raises(ValueError, match="'one' is no version"):
        requirements.version_key("one")


@pytest.mark.parametrize(
    ("version", "wanted", "fits"),
    [
        ("1.5", "", True),
        ("1.5", ">=1.2", True),
        ("1.5", ">=1.2,<1.5", False),
        ("1.5", "==1.5.0", True),
        ("1.5.1", "==1.5.*", True),
        ("1.50", "==1.5.*", False),
        ("1.5", "!=1.5.*", False),
        ("1.5", "!=1.6", True),
        ("1.4.5", "~=1.4.2", True),
        ("1.5.0", "~=1.4.2", False),
        ("1.9", "~=1.4", True),
        ("2.0", "~=1.4", False),
        ("2.0rc1", "<2.0", True),
        ("1.0", "===1.0", True),
        ("1.0.0", "===1.0", False),
        ("1.0", "> 0.9, <= 1.0", True),
    ],
)
def test_specifiers(version, wanted, fits):
    assert requirements.satisfies(version, wanted) is fits


def test_what_is_no_specifier_is_said():
    with pytest.raises(ValueError, match="'=>1' is no version specifier"):
        requirements.satisfies("1.0", "=>1")


def check(tmp_path, text, **installed):
    path = tmp_path / "requirements.txt"
    path.write_text(text, encoding="utf-8")
    return [
        line.replace(str(path), "R") for line in requirements.problems(
            str(path), lambda name: installed.get(name.replace("-", "_")))
    ]


def test_what_is_there_is_silent(tmp_path):
    text = (
        "# a comment\n\nnumpy>=1.2  # why\nscikit-learn[extra] (>=1.0)\n"
        "--index-url https://example.invalid/simple\n-e ./local\n"
        "torch @ https://example.invalid/torch.whl\nrequests==2.1 --hash=sha256:00\n"
        "long>=1,\\\n  <2\n"
    )
    assert check(tmp_path, text, numpy="1.24.2", scikit_learn="1.2", torch="2",
                 requests="2.1", long="1.5") == []


def test_what_is_missing_or_too_old_is_said_with_its_place(tmp_path):
    assert check(tmp_path, "numpy>=2\npandas<3\nscipy\n", numpy="1.24.2", scipy="1") == [
        "numpy is 1.24.2, wanted is >=2 (R:1)",
        "pandas<3 is not installed (R:2)",
    ]


def test_a_line_that_is_no_requirement_is_said(tmp_path):
    assert check(tmp_path, "???\nnumpy=>1\n", numpy="1.0") == [
        "R:1: '???' cannot be read as a requirement",
        "R:2: '=>1' is no version specifier",
    ]


def test_markers_choose_the_lines_of_this_interpreter(tmp_path):
    text = (
        f"a; python_version < '{HERE}'\n"
        f"b; python_version >= '{HERE}' and sys_platform == '{sys.platform}'\n"
        "c; sys_platform == 'win32' or sys_platform == 'amiga'\n"
        "d; implementation_name == 'cpython'\n"
    )
    assert check(tmp_path, text) == ["b is not installed (R:2)", "d is not installed (R:4)"]


def test_files_may_include_others(tmp_path):
    (tmp_path / "base.txt").write_text("inner>=1\n", encoding="utf-8")
    (tmp_path / "limits.txt").write_text("never==1\n", encoding="utf-8")
    found = check(tmp_path, "-r base.txt\n-c limits.txt\nouter\n", outer="1")
    assert found == [f"inner>=1 is not installed ({tmp_path / 'base.txt'}:1)"]


def test_the_installed_packages_are_looked_at(tmp_path):
    path = tmp_path / "requirements.txt"
    path.write_text("pytest>=1\n", encoding="utf-8")
    requirements.check(str(path))
    path.write_text("pytest>=1000\nno-such-package\n", encoding="utf-8")
    with pytest.raises(requirements.RequirementsError) as caught:
        requirements.check(str(path))
    assert "pytest is " in str(caught.value) and "no-such-package is not" in str(caught.value)
    assert f"pip install -r {path}" in str(caught.value)
