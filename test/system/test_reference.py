# SPDX-License-Identifier: MIT
"""The reference that `make docs` writes: nothing public is missing, nothing without words."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import uuid

import pytest
from cli_tool import BUILD, DEADLINE, PYTHON, ROOT, environment

# The heading of a name, which it may share with others, and what follows.
ANCHORS = r'<a id="{}"></a>\n(?:<a id="[^"]*"></a>\n)*(.*?)(?=\n<a id|\Z)'
# What the packages say of themselves, by their own interpreter.
NAMES = """
import importlib, inspect, json
found = []
for package in map(importlib.import_module, ("snakepit", "snakepit_bridge")):
    for name in package.__all__:
        if name.startswith("_"):
            continue
        found.append(f"{package.__name__}.{name}")
        thing = getattr(package, name)
        if inspect.isclass(thing):
            own = [c for c in thing.__mro__ if c.__module__.startswith(package.__name__)]
            found += [f"{package.__name__}.{name}.{member}" for c in own for member in vars(c)
                      if callable(getattr(thing, member)) and not member.startswith("_")]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The text of each page, made of a copy so that the build is left as it is."""
    build = tmp_path_factory.mktemp("build")
    for name in ("snakepit", "libsnakepit.so.0", "python", "bridges"):
        (build / name).symlink_to(BUILD / name)
    done = subprocess.run(
        [PYTHON, ROOT / "tools" / "reference.py", build], env=environment(uuid.uuid4().hex),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=DEADLINE, check=False)
    assert done.returncode == 0, done.stdout.decode()
    found = (build / "docs" / "reference").glob("*.md")
    return {page.name: page.read_text(encoding="utf-8") for page in found}


def entry(pages, name):
    """What a page has under the name: its heading to the next one."""
    for text in pages.values():
        found = re.search(ANCHORS.format(re.escape(name)), text, re.S)
        if found:
            return found[1]
    return None


@pytest.mark.parametrize("library", ["libsnakepit", "libsnakepit-worker"])
def test_every_exported_function_is_there_with_its_comment(pages, library):
    names = (ROOT / "tools" / f"symbols-{library}.txt").read_text().split()
    assert len(names) > 100
    for name in names:
        found = entry(pages, name)
        assert found and f"{name}(" in found, f"{name} is missing"
        assert len(found.split("```")[-1].split()) >= 3, f"{name} has no comment"


def test_every_name_of_the_python_packages_is_there_with_its_docstring(pages):
    env = environment(uuid.uuid4().hex, PYTHONPATH=f"{BUILD}/python:{BUILD}/bridges/python")
    done = subprocess.run([PYTHON, "-c", NAMES], env=env, stdout=subprocess.PIPE, check=True,
                          timeout=DEADLINE)  # fmt: skip
    names = json.loads(done.stdout)
    assert "snakepit.Pit.call_many" in names and "snakepit_bridge.SessionContext.watch" in names
    for name in names:
        found = entry(pages, name)
        assert found, f"{name} is missing"
        assert len(re.sub(r"#+ `.*`", "", found).split()) >= 2, f"{name} has no docstring"


def test_links_lead_somewhere(pages):
    for page, text in pages.items():
        for file, anchor in re.findall(r"\]\(([\w.]+\.md)(?:#([^)]*))?\)", text):
            assert file in pages, f"{page}: {file}"
            assert not anchor or f'<a id="{anchor}"></a>' in pages[file], f"{page}: {anchor}"


def test_a_function_without_a_comment_is_found(tmp_path):
    spec = importlib.util.spec_from_file_location("reference", ROOT / "tools" / "reference.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["reference"] = module  # for its data class
    spec.loader.exec_module(module)
    shutil.copytree(module.HEADERS, tmp_path / "headers")
    with open(tmp_path / "headers" / "stream.h", "a", encoding="utf-8") as file:
        file.write("\nSP_API int sp_stream_forgotten(sp_pit *pit,\n    int n);\n")
    module.HEADERS = tmp_path / "headers"
    reference = module.Reference(tmp_path / "build")
    reference.headers()
    assert reference.missing == ["stream.h.md: sp_stream_forgotten"]
