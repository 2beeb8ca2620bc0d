# SPDX-License-Identifier: MIT
"""Running an example as a user would, and comparing what it prints."""

import re
import uuid

import cli_tool
import peers

EXAMPLES = peers.ROOT / "examples"
ADAPTERS = EXAMPLES / "adapters"
PROGRAMS = peers.BUILD / "examples" / "c"


def run_example(*command, worker_python=peers.PYTHON, **options):
    """The lines an example prints. It ends well, and nothing it started is left."""
    mark = uuid.uuid4().hex  # in the environment that everything it starts inherits
    environment = cli_tool.environment(
        mark,
        SNAKEPIT=str(peers.CLI),
        SNAKEPIT_PYTHON=worker_python,
        PYTHONPATH=str(peers.BUILD / "python"),
    )
    done = peers.run(*command, env=environment, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert cli_tool.marked(mark) == []
    return done.stdout.splitlines()


def check(lines, expected):
    """Each line is its expected text, or fits its expected pattern."""
    for line, wanted in zip(lines, expected):
        if isinstance(wanted, re.Pattern):
            assert wanted.fullmatch(line), f"{line!r} is not {wanted.pattern!r}"
        else:
            assert line == wanted
    assert len(lines) == len(expected), lines
