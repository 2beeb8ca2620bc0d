# SPDX-License-Identifier: MIT
"""snakepit doctor: one line for each thing workers need, the first `fail` to mend."""

import ctypes
import os
import re
import resource
import struct
import subprocess

import pytest
from cli_tool import PYTHON, SNAKEPIT, environment, snakepit

CHECKS = ["snakepit", "config", "kernel", "limits", "folders", "python", "guard", "bridge",
          "adapter", "call", "imports", "node", "ruby", "r"]


def checks(*words, **more):
    done = snakepit("doctor", "-o", "json", *words, **more)
    return done, {c["check"]: c for c in done.json["checks"]}


def test_a_sound_machine_is_ok():
    done = snakepit("doctor")
    assert (done.code, done.err) == (0, "")
    rows = [line.split()[:2] for line in done.lines]
    assert rows == [["ok", check] for check in CHECKS]


def test_facts_name_the_interpreter_and_the_round_trip():
    done, found = checks()
    assert (done.code, done.json["version"], done.json["ok"]) == (0, 1, True)
    assert re.match(rf"3\.\d+\.\d+ {PYTHON}", found["python"]["facts"])
    assert re.match(r"ping answered in \d+ us", found["call"]["facts"])


def test_a_shim_is_resolved(tmp_path):
    shim = tmp_path / "python-shim"
    os.symlink(PYTHON, shim)
    _, found = checks("--python", shim)
    assert f"{shim} -> {os.path.realpath(PYTHON)}" in found["python"]["facts"]


def test_the_hint_about_descriptors_mends_it():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    config = ["--set", "pools.default.size=100"]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        _, found = checks(*config)
        limits = found["limits"]
        assert limits["level"] == "warn"
        wanted = int(re.match(r"ulimit -n (\d+);", limits["hint"]).group(1))
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, before[1]))
        assert checks(*config)[1]["limits"]["level"] == "ok"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_an_interpreter_that_does_not_run(tmp_path):
    done, found = checks("--python", "/bin/false")
    assert (done.code, done.json["ok"]) == (1, False)
    assert found["python"]["level"] == "fail"
    assert "bridge" not in found  # its ground is missing
    assert found["python"]["hint"]


def test_an_interpreter_without_a_version(tmp_path):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho this is no python >&2\nexit 3\n")
    script.chmod(0o755)
    done, found = checks("--python", script)
    assert done.code == 1
    assert "this is no python" in found["python"]["facts"]


def test_an_adapter_that_does_not_import():
    done, found = checks("-a", "no.such:Thing")
    assert done.code == 1
    assert found["bridge"]["level"] == "ok"
    assert found["adapter"]["level"] == "fail"
    assert "No module named 'no'" in found["adapter"]["facts"]
    done = snakepit("doctor", "-a", "no.such:Thing")
    assert done.code == 1
    assert "try: " in done.out


def test_an_adapter_without_ping(tmp_path):
    (tmp_path / "a.py").write_text("def hello():\n    return 1\n")
    done, found = checks("-a", "a.py", cwd=tmp_path)
    assert done.code == 0, done.out
    assert "left out" in found["call"]["facts"]


def test_a_guard_that_is_missing():
    done, found = checks(env={"SNAKEPIT_GUARD": "/nonexistent/guard"})
    assert done.code == 1
    assert found["guard"]["level"] == "fail"
    assert "adapter" not in found


def test_a_wrong_configuration_is_a_usage_error(tmp_path):
    (tmp_path / "snakepit.yaml").write_text("nope: 1\n")
    done = snakepit("doctor", cwd=tmp_path)
    assert (done.code, done.out) == (2, "")


def test_what_an_adapters_imports_bring_along_is_told(tmp_path):
    (tmp_path / "adapter.py").write_text("import sqlite3\nprint('noise')\ndef ping():\n    return 1\n")
    config = tmp_path / "snakepit.yaml"
    config.write_text("pools: [{adapter: adapter.py, profile: thread, size: 1}]\n")
    done, found = checks("--config", config)
    assert done.code == 0, done.err
    assert found["imports"]["level"] == "warn"
    assert "GIL on" in found["imports"]["facts"]
    assert "not made for threads: sqlite3" in found["imports"]["facts"]


def test_other_languages_are_looked_for_and_not_missed():
    done, found = checks(env={"PATH": "/nowhere"})
    assert done.code == 0
    for language in ("node", "ruby", "r"):
        assert found[language]["level"] == "ok"
        assert "not installed" in found[language]["facts"]
    _, found = checks()
    assert "bridge built" in found["node"]["facts"], found["node"]


def test_a_pool_of_another_language_needs_its_interpreter(tmp_path):
    config = tmp_path / "snakepit.yaml"
    config.write_text("pools: [{runtime: node, adapter: showcase, size: 1}]\n")
    done, found = checks("--config", config, env={"PATH": "/nowhere"})
    assert done.code == 1
    assert found["node"]["level"] == "fail" and "nodejs" in found["node"]["hint"]
    assert "guard" not in found
    done, found = checks("--config", config, env={"SNAKEPIT_NODE": "/bin/false"})
    assert found["node"]["level"] == "fail" and "exit status 1" in found["node"]["facts"]


# --- what mends it ----------------------------------------------------------------------


def failed(check, *words, **more):
    """A check that must find something amiss: its hint, which --fix-hints has too."""
    done, found = checks(*words, **more)
    assert done.code == (1 if found[check]["level"] == "fail" else 0)
    assert found[check]["level"] != "ok" and found[check]["hint"]
    assert all(one["hint"] for one in found.values() if one["level"] != "ok")
    hints = snakepit("doctor", "--fix-hints", *words, **more)
    assert hints.code == done.code
    assert hints.lines == [f"{one['check']}: {one['hint']}" for one in found.values()
                           if one["level"] != "ok"]
    return found[check]["hint"]


def test_a_sound_machine_needs_no_mending():
    done = snakepit("doctor", "--fix-hints")
    assert (done.code, done.out, done.err) == (0, "", "")


def without_pidfd_open():
    """From now on the kernel of this process has no pidfd_open: a filter says so."""
    libc = ctypes.CDLL(None, use_errno=True)
    number, enosys = 434, 38
    rows = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | enosys),
            (0x06, 0, 0, 0x7fff0000)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *row) for row in rows))
    head = ctypes.create_string_buffer(struct.pack("@HP", len(rows), ctypes.addressof(program)))
    if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, head, 0, 0) != 0:
        os._exit(99)


def test_a_kernel_that_lacks_something():
    ran = subprocess.run([SNAKEPIT, "doctor", "--fix-hints"], preexec_fn=without_pidfd_open,
                         env=environment("kernel"), cwd="/", capture_output=True, text=True,
                         timeout=60)
    if ran.returncode == 99:
        pytest.skip("this kernel takes no filters of system calls")
    assert ran.returncode == 1
    assert ran.stdout.splitlines()[0].startswith("kernel: run Linux 5.9 or newer; in a container")


@pytest.mark.parametrize("limit, letter", [(resource.RLIMIT_NPROC, "u"), (resource.RLIMIT_NOFILE, "n")])
def test_the_hint_about_a_limit_mends_it(limit, letter):
    before = resource.getrlimit(limit)
    config = ["--set", "pools.default.size=100"]
    try:
        resource.setrlimit(limit, (150, before[1]))
        wanted = int(re.match(rf"ulimit -{letter} (\d+); or", failed("limits", *config)).group(1))
        resource.setrlimit(limit, (wanted, before[1]))
        assert checks(*config)[1]["limits"]["level"] == "ok"
    finally:
        resource.setrlimit(limit, before)


def test_a_limit_that_the_shell_cannot_raise():
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))

    ran = subprocess.run([SNAKEPIT, "doctor", "--fix-hints", "--set", "pools.default.size=100"],
                         preexec_fn=few, env=environment("limits"), cwd="/", capture_output=True,
                         text=True, timeout=60)
    assert "limits: LimitNOFILE=564 in its unit, or as root ulimit -Hn 564;" in ran.stdout


def test_a_folder_that_is_none(tmp_path):
    (tmp_path / "run").write_text("")
    config = tmp_path / "snakepit.yaml"
    config.write_text(f"runtime_dir: {tmp_path}/run\n")
    hint = failed("folders", "--config", config)
    assert hint == f"rm {tmp_path}/run; or set runtime_dir to another folder"
    subprocess.run(["sh", "-c", hint.split(";")[0]], check=True)
    assert checks("--config", config)[1]["folders"]["level"] == "ok"


def as_anybody():
    """Permissions bind root too: without CAP_DAC_OVERRIDE from the next program on."""
    if os.geteuid() == 0 and ctypes.CDLL(None).prctl(24, 1, 0, 0, 0) != 0:
        os._exit(99)


def test_a_folder_that_cannot_be_written_to(tmp_path):
    place = tmp_path / "place"
    place.mkdir(mode=0o500)
    (tmp_path / "snakepit.yaml").write_text(f"runtime_dir: {place}/run\n")
    ran = subprocess.run([SNAKEPIT, "doctor", "--fix-hints"], preexec_fn=as_anybody,
                         env=environment("folders"), cwd=tmp_path, capture_output=True, text=True,
                         timeout=60)
    assert ran.returncode == 1
    [hint] = [line for line in ran.stdout.splitlines() if line.startswith("folders: ")]
    assert hint == (f"folders: sudo install -d -o {os.getuid()} -m 700 {place}/run/default; "
                    "or set runtime_dir to another folder")


def test_a_folder_that_would_be_made_in_the_root():
    """Which nobody may write to, in a view of the files where none can be written to."""
    words = ["unshare", "-m", "sh", "-c", 'mount -o remount,ro,bind / && exec "$@"', "sh"]
    if subprocess.run([*words, "true"], capture_output=True).returncode != 0:
        pytest.skip("needs the right to a view of the files of its own")
    ran = subprocess.run([*words, SNAKEPIT, "doctor", "--fix-hints", "--set",
                          "runtime_dir=/none-of-ours/run"], env=environment("root"), cwd="/",
                         capture_output=True, text=True, timeout=60)
    [hint] = [line for line in ran.stdout.splitlines() if line.startswith("folders: ")]
    assert hint.startswith("folders: sudo install -d ") and "/none-of-ours/run" in hint


def test_a_name_of_a_folder_that_is_too_long_for_a_socket(tmp_path):
    config = tmp_path / "snakepit.yaml"
    config.write_text(f"runtime_dir: {tmp_path}/{'x' * 100}\n")
    assert failed("folders", "--config", config).startswith("set listen.socket to a path of")


def test_the_folders_of_a_daemon_matter_less_to_who_has_none(tmp_path):
    (tmp_path / "run").write_text("")
    done, found = checks(env={"XDG_RUNTIME_DIR": str(tmp_path / "run")}, cwd=tmp_path)
    assert (done.code, found["folders"]["level"]) == (0, "warn")


def test_the_hint_about_python_mends_it(tmp_path):
    hint = failed("python", env={"PATH": "/nowhere", "SNAKEPIT_PYTHON": "", "LD_PRELOAD": ""})
    assert hint.startswith("apt-get install python3; or set pools.default.python to")
    old = tmp_path / "old"
    old.write_text("#!/bin/sh\nprintf '3.7.2\\t/old\\tno venv\\tGIL\\n'\n")
    old.chmod(0o755)
    for python in ("/bin/false", old):
        hint = failed("python", "--python", python)
        key, value = re.match(r"set (\S+) to an interpreter .* such as (\S+)$", hint).groups()
        assert checks("--set", f"{key}={value}")[1]["python"]["level"] == "ok"


@pytest.mark.parametrize("variable, check", [("SNAKEPIT_GUARD", "guard"), ("SNAKEPIT_BRIDGE_PATH", "guard")])
def test_a_variable_that_names_nothing_is_to_be_unset(variable, check):
    assert failed(check, env={variable: "/nonexistent/one"}) == f"unset {variable}"


def test_a_module_that_is_missing_is_to_be_installed(tmp_path):
    (tmp_path / "a.py").write_text("import no_such_package.part\n")
    hint = failed("adapter", "-a", "a.py", cwd=tmp_path)
    assert hint.startswith(f"{PYTHON} -m pip install no_such_package; or set pools.default.adapter")


def test_an_adapter_that_fails_and_one_that_is_slow(tmp_path):
    (tmp_path / "bad.py").write_text("1 / 0\n")
    assert "snakepit -v call ping -p default" in failed("adapter", "-a", "bad.py", cwd=tmp_path)
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(60)\n")
    hint = failed("adapter", "-a", "slow.py", "--set", "pools.default.init_timeout=1s", cwd=tmp_path)
    assert hint.startswith("set pools.default.init_timeout to more time")


def test_a_tool_that_fails(tmp_path):
    (tmp_path / "a.py").write_text("def ping():\n    raise ValueError('no')\n")
    assert "snakepit call ping -p default" in failed("call", "-a", "a.py", cwd=tmp_path)


def test_imports_that_are_not_made_for_threads(tmp_path):
    (tmp_path / "a.py").write_text("import sqlite3\ndef ping():\n    return 1\n")
    assert failed("imports", "-a", "a.py", "--set", "pools.default.profile=thread", "--size", "1",
                  cwd=tmp_path).startswith("set pools.default.profile to process;")


def test_an_interpreter_of_another_language(tmp_path):
    config = tmp_path / "snakepit.yaml"
    config.write_text("pools: [{name: web, runtime: node, adapter: showcase, size: 1}]\n")
    assert failed("node", "--config", config, env={"PATH": "/nowhere"}).startswith(
        "apt-get install nodejs; or set pools.web.interpreter to")
    assert failed("node", "--config", config, env={"SNAKEPIT_NODE": "/bin/false"}).startswith(
        "set pools.web.interpreter to another one")
