# SPDX-License-Identifier: MIT
"""What is installed runs from where it is, wherever that is: DESTDIR is a folder of the test,
and nothing is told where the build or the library would be."""

import contextlib
import subprocess

import daemons
import peers
import pytest

pytestmark = pytest.mark.skipif(
    "LD_PRELOAD" in peers.ENVIRONMENT,
    reason="an interpreter that is told nothing does not load a sanitizer's library",
)
WORDS = '''
def count(text: str) -> int:
    "Count the words of a text."
    return len(text.split())
'''
HOST = '''
import snakepit

with snakepit.open(adapter="words.py", size=1) as pit:
    print(pit.call("count", text="to be or not to be"))
'''


@pytest.fixture(scope="module")
def destdir(tmp_path_factory):
    """The root of an installation."""
    place = tmp_path_factory.mktemp("installed")
    done = subprocess.run(
        ["meson", "install", "-C", peers.BUILD, "--no-rebuild", "--quiet", "--destdir", place],
        capture_output=True, text=True, timeout=peers.DEADLINE_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return place


@pytest.fixture(scope="module")
def prefix(destdir):
    (program,) = destdir.rglob("bin/snakepit")
    return program.parent.parent


@pytest.fixture
def here(tmp_path):
    (tmp_path / "words.py").write_text(WORDS)
    return tmp_path


def told_nothing(here, **more):
    """An environment that says where the programs of the system are, and nothing of ours."""
    return {"PATH": "/usr/bin:/bin", "HOME": str(here), "XDG_RUNTIME_DIR": str(here), **more}


def run(here, *command, **environment):
    return peers.run(*command, cwd=here, env=told_nothing(here, **environment))


def library(prefix):
    (found,) = prefix.rglob("libsnakepit.so")
    return found


def test_the_command_line_finds_all_it_needs(prefix, here):
    done = run(here, prefix / "bin" / "snakepit", "call", "--adapter", "words.py", "count",
               "text=to be or not to be")
    assert (done.returncode, done.stdout) == (0, "6\n"), done.stderr


def test_the_daemon_serves(prefix, here):
    address = here / "s" / "pit.sock"
    with (
        contextlib.closing(daemons.Manager(here / "notify")) as manager,
        peers.running(
            prefix / "sbin" / "snakepitd", "--socket", address,
            "--set", f"state_dir={here}/state", "--set", "pools.default.adapter=words.py",
            cwd=here, env=told_nothing(here, NOTIFY_SOCKET=manager.name),
        ),
    ):  # fmt: skip
        manager.await_line("READY=1")
        done = run(here, prefix / "bin" / "snakepit", "call", "--connect", f"unix:{address}",
                   "count", "text=to be or not to be")
    assert (done.returncode, done.stdout) == (0, "6\n"), done.stderr


def test_a_program_in_c_finds_the_bridge_beside_the_library(destdir, prefix, here):
    folder = library(prefix).parent
    told = run(here, "pkg-config", "--cflags", "--libs", "snakepit",
               PKG_CONFIG_PATH=str(folder / "pkgconfig"),
               PKG_CONFIG_SYSROOT_DIR=str(destdir))
    assert told.returncode == 0, told.stderr
    built = run(here, "cc", peers.ROOT / "examples" / "c" / "hello.c", *told.stdout.split(),
                "-o", "hello")
    assert built.returncode == 0, built.stderr
    done = run(here, "./hello", LD_LIBRARY_PATH=str(folder))
    assert (done.returncode, done.stdout) == (0, '{"result":8}\n'), done.stderr


def test_a_program_in_python_does_too(prefix, here):
    packages = next(iter(prefix.rglob("dist-packages")), None)
    assert packages is not None
    (here / "host.py").write_text(HOST)
    done = run(here, "/usr/bin/python3", "host.py", PYTHONPATH=str(packages),
               LD_LIBRARY_PATH=str(library(prefix).parent))
    assert (done.returncode, done.stdout) == (0, "6\n"), done.stderr
