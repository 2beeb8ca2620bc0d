# SPDX-License-Identifier: MIT
"""The guide: what its pages say is done, and happens (guide.py)."""

import re
from pathlib import Path

import guide
import pytest
from cli_tool import BUILD, snakepit

PAGES = sorted(guide.GUIDE.rglob("*.md"))
# What a page is about and a build, or a machine, may not have.
NEEDS = {
    "adapters/grpc.md": {"protobuf-compiler-grpc": "/usr/bin/grpc_python_plugin"},
    "adapters/node.md": {"node with its headers": BUILD / "bridges/node/snakepit_worker.js"},
    "adapters/r.md": {"r-base-core": BUILD / "bridges/r/snakepit_worker.R"},
    "adapters/ruby.md": {"ruby-dev": BUILD / "bridges/ruby/snakepit_worker.rb"},
    "monitoring.md": {"prometheus": "/usr/bin/promtool"},
    "observability.md": {"curl": "/usr/bin/curl", "prometheus": "/usr/bin/promtool",
                         "protobuf-compiler-grpc": "/usr/bin/grpc_python_plugin"},
    "systemd.md": {"systemd": "/usr/bin/systemd-analyze"},
}  # fmt: skip


def name_of(page):
    return str(page.relative_to(guide.GUIDE))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_the_page_says_happens(page, tmp_path):
    for what, file in NEEDS.get(name_of(page), {}).items():
        if not Path(file).exists():
            pytest.skip(f"needs {what}")
    guide.Reader(tmp_path).read(page)


def test_every_page_is_in_the_table_of_contents():
    contents = (guide.GUIDE / "README.md").read_text(encoding="utf-8")
    missing = [name_of(p) for p in PAGES if f"({name_of(p)})" not in contents]
    assert missing == ["README.md"]


def settings_in(folder):
    """What is in force there, by key: of the pools the first that sets it."""
    shown = snakepit("config", "show", "-o", "json", cwd=folder, env={"SNAKEPIT_PYTHON": ""})
    found = {}
    for row in sorted(shown.json["settings"], key=lambda row: row["source"] != "file"):
        found.setdefault(re.sub(r"^pools\.[^.]+", "pools[]", row["key"]), row)
    return found


def test_the_page_about_the_configuration_has_every_key(tmp_path):
    """Each is set in one of its files; where there is a default it is what stands there."""
    defaults, found = settings_in(tmp_path), {}
    for block in guide.blocks(guide.GUIDE / "configuration.md"):
        if block.kind == "yaml" and not block.name:
            (tmp_path / "snakepit.yaml").write_text(block.text, encoding="utf-8")
            for key, row in settings_in(tmp_path).items():
                if row["source"] == "file":
                    found.setdefault(key, row)
    rows = snakepit("config", "explain", "-o", "json").json["keys"]
    keys = {row["key"]: row["default"] for row in rows}
    assert keys.keys() - found.keys() == set()
    wrong = [key for key, row in found.items()
             if keys[key] and row["value"] != defaults[key]["value"]]
    assert not wrong


@pytest.mark.parametrize(("text", "mistake"), [
    ("```sh\nfalse\n```\n", "exit 1, not 0"),
    ("```sh exit=2\ntrue\n```\n", "exit 0, not 2"),
    ("```sh\necho 1\n```\n```text\n2\n```\n", "the page has\n2"),
    ("```text\n2\n```\n", "nothing that has printed it"),
    ("```elixir\nx\n```\n", "nobody knows what to do with 'elixir'"),
    ("```js\nlet x;\n```\n", "nobody knows what to do with 'js'"),
    ("```js\n// x.js\n```\n", "nothing uses x.js"),
    ("```c\n/* x.c */\nint x = \"\";\n```\n```sh\nls x.c\n```\n", "exit 1, not 0"),
    ("```yaml\npools: [{size: 0}]\n```\n", "0 is out of range"),
    ("```python\nraise SystemExit(3)\n```\n", "exit 3, not 0"),
    ("```sh until=never\necho 1\n```\n", "it has ended"),
    ("```sh\n", "a block without an end"),
])  # fmt: skip
def test_a_mistake_in_a_page_is_found(text, mistake, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    (tmp_path / "folder").mkdir()
    with pytest.raises(AssertionError, match=mistake.replace("(", r"\(")):
        guide.Reader(tmp_path / "folder").read(page)


def test_blocks_go_on_where_the_last_one_stopped(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```sh\nmkdir a; cd a; export X='1 2'\n```\n"
                    "```sh\necho \"$X\"; basename \"$PWD\"; ls missing || true\n```\n"
                    "```text\n1 2\na\nls: ...\n```\n", encoding="utf-8")  # fmt: skip
    (tmp_path / "folder").mkdir()
    guide.Reader(tmp_path / "folder").read(page)
