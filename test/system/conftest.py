# SPDX-License-Identifier: MIT
"""What the tests find by name: a client of the module's daemon, notes of workers, a session
of the module's pit. A module with another one says so.

Under a sanitizer its library is loaded before pytest, for the tests that open a pit
inside this process (peers.Pit). What they start gets the options that were meant for it,
leak detection included, and preloads where it must by itself (cli_tool.environment)."""

import os

import pytest

if "SNAKEPIT_TEST_PRELOAD" in os.environ:
    os.environ.pop("LD_PRELOAD", None)
    os.environ["ASAN_OPTIONS"] = os.environ.get("SNAKEPIT_TEST_ASAN_OPTIONS", "")

# After the environment is as it should be: they copy it.
import peers
import python_code
import states


@pytest.fixture(scope="session")
def stubs(tmp_path_factory):
    """The folder of the modules that peers.Client needs."""
    return peers.make_stubs(tmp_path_factory.mktemp("stubs"))


@pytest.fixture
def client(stubs, daemon):
    with peers.connected(daemon.address) as found:
        yield found


@pytest.fixture
def notes(tmp_path):
    with peers.Notes(tmp_path / "notes") as found:
        yield found


@pytest.fixture(scope="module")
def pit(tmp_path_factory):
    """Two workers that run pieces of Python (python_code.TOOLS)."""
    place = tmp_path_factory.mktemp("state")
    (place / "tools.py").write_text(python_code.TOOLS)
    with states.StatePit(states.write_config(place, python=(place / "tools.py", 2))) as opened:
        yield opened


@pytest.fixture
def session(pit, request):
    name = request.node.name[:200]
    pit.create_session(name)
    yield python_code.Session(pit, name)
    pit.end_session(name)


@pytest.fixture
def gate(tmp_path):
    made = python_code.Gate(tmp_path)
    yield made
    made.close()
