# SPDX-License-Identifier: MIT
"""The adapter of the system tests: tools that tell what a worker is, and tools that do
what no worker should."""

import ctypes
import fcntl
import glob
import itertools
import mmap
import os
import resource
import stat
import struct
import subprocess
import sys
import threading
import time

from snakepit_bridge import BaseAdapter, telemetry, time_left, tool


def call_out_fd():
    """The pipe that answers go to: the only one this process may read and write."""
    for name in os.listdir("/proc/self/fd"):
        try:
            mode = os.fstat(int(name)).st_mode
            access = fcntl.fcntl(int(name), fcntl.F_GETFL) & os.O_ACCMODE
        except OSError:
            continue  # the one the folder was listed with
        if stat.S_ISFIFO(mode) and access == os.O_RDWR:
            return int(name)
    raise LookupError("no pipe for answers")


def touch(path):
    part = f"{path}.{os.getpid()}"
    with open(part, "wb"):
        pass
    os.rename(part, path)


def hold_until_released(path):
    """Say that user code runs, then go on when the test says so."""
    touch(path + ".held")
    while not os.path.exists(path + ".go"):
        time.sleep(0.002)


class Counter:
    """A number in a file that the test maps into its own memory."""

    def __init__(self, path):
        self.file = open(path, "w+b")
        self.file.truncate(8)
        self.map = mmap.mmap(self.file.fileno(), 8)

    def set(self, value):
        struct.pack_into("=Q", self.map, 0, value)

    def close(self):
        self.map.close()
        self.file.close()


class Probe(BaseAdapter):
    """One instance per worker."""

    def __init__(self):
        super().__init__()
        self.calls = 0
        self.children = []

    def on_session_end(self, session):
        print(f"{session} has ended after {self.calls} calls")
        if session == "raise":
            raise ValueError("no end")

    # ---- what it is ----

    @tool
    def where(self):
        self.calls += 1
        return {"pid": os.getpid(), "calls": self.calls, "session": self.session_id}

    @tool
    def seconds_left(self):
        return time_left()

    @tool
    def variable(self, name):
        return os.environ.get(name)

    @tool
    def bounds(self):
        """The umask, the niceness, descriptors and the size of a core file."""
        mask = os.umask(0)
        os.umask(mask)
        return [mask, os.nice(0), resource.getrlimit(resource.RLIMIT_NOFILE)[1],
                resource.getrlimit(resource.RLIMIT_CORE)[0]]

    @tool
    def folder(self):
        return os.getcwd()

    @tool
    def arguments(self):
        return sys.argv[1:]

    @tool
    def resident(self):
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * mmap.PAGESIZE

    @tool
    def shared(self, at: int):
        """A word of the page that is shared with the host."""
        for path in glob.glob("/proc/self/fd/*"):
            if os.path.realpath(path).startswith("/memfd:snakepit-page"):
                return int.from_bytes(os.pread(int(path.split("/")[-1]), 4, at), sys.byteorder)
        raise LookupError("no page")

    # ---- what it does ----

    @tool
    def echo(self, value=None):
        """Give back what came."""
        return value

    @tool
    def length(self, text: str):
        return len(text)

    @tool
    def text(self, size: int):
        return "x" * size

    @tool
    def add(self, a: int, b: int = 1):
        """Add two numbers."""
        return a + b

    @tool
    def raw(self, size: int):
        return bytes(size)

    @tool
    def say(self, line):
        print(line)

    @tool
    def warn(self, line):
        print(line, file=sys.stderr)

    @tool
    def pause(self, seconds: float):
        time.sleep(seconds)

    @tool
    def hold(self, path):
        hold_until_released(path)
        return os.getpid()

    @tool
    def held_sum(self, path, values):
        hold_until_released(path)
        return sum(values)

    @tool
    def hold_or_echo(self, path=None, value=None):
        if path is not None:
            hold_until_released(path)
        return value

    @tool
    def fail(self, message="it failed"):
        raise ValueError(message)

    @tool
    def fail_if_odd(self, value: int):
        if value % 2 == 1:
            raise ValueError(f"{value} is odd")

    @tool
    def grandchild(self, own_session=False):
        """Start a process that would go on for ten minutes."""
        child = subprocess.Popen(
            ["sleep", "600"], stdin=subprocess.DEVNULL, start_new_session=own_session
        )
        return child.pid

    @tool
    def grow(self, megabytes: int):
        """Keep that much memory."""
        self.kept = b"\1" * (megabytes * 2**20)
        return len(self.kept)

    @tool
    def big_child(self, megabytes: int):
        """Start a process that keeps that much memory, in a session of its own."""
        code = f"kept = b'x' * ({megabytes} * 2**20); print(); input()"
        child = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        child.stdout.read(1)
        self.children.append(child)
        return child.pid

    # ---- what it reports ----

    @tool
    def report(self, name, count=1, size=0):
        """Report an event so often, with so much text: how many of them somebody got,
        and how many nobody read in time."""
        facts = {"text": "x" * size}
        before = telemetry.dropped_count()
        told = sum(
            telemetry.emission.send(name, {"count": 1}, facts, None)
            for _ in range(count)
        )
        return {"told": told, "lost": telemetry.dropped_count() - before}

    @tool
    def report_on(self, name):
        """Report events behind the calls from now on, until nobody wants them; how many
        that were is told by reported()."""
        self.told = 0

        def run():
            while telemetry.emission.is_wanted(name):
                self.told += telemetry.emission.send(name, {"count": 1}, None, None)

        self.reporter = threading.Thread(target=run)
        self.reporter.start()

    @tool
    def reported(self):
        self.reporter.join()
        return {"told": self.told, "lost": telemetry.dropped_count()}

    @tool
    def listens(self):
        return telemetry.is_enabled()

    # ---- streams ----

    @tool
    def numbers(self, count: int):
        for i in range(count):
            yield i

    @tool
    def counted(self, path, count, size):
        """`count` chunks of `size` bytes; how many were made is in the file. Its end
        makes a second file."""
        counter = Counter(path)
        try:
            chunk = "x" * size
            for i in range(count):
                counter.set(i + 1)
                yield chunk
        finally:
            counter.close()
            touch(path + ".closed")

    @tool
    def breaking(self, count):
        for i in range(count):
            yield i
        raise RuntimeError("the stream broke")

    @tool
    def dying(self, count):
        for i in range(count):
            yield i
        os._exit(4)

    @tool
    def blocking(self, path):
        """One chunk, then nothing until it is released."""
        try:
            yield "first"
            hold_until_released(path)
            yield "second"
        finally:
            touch(path + ".closed")

    # ---- misbehaviour ----

    @tool
    def end(self, status, line=""):
        if line:
            print(line, file=sys.stderr)
        os._exit(status)

    @tool
    def end_once(self, path):
        """Ends the first worker that runs it; the next one answers."""
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return "survived"
        os._exit(5)

    @tool
    def act(self, path=""):
        """Nothing; or hold, and then end the worker."""
        if path:
            hold_until_released(path)
            os._exit(6)

    @tool(idempotent=True)
    def end_once_harmless(self, path):
        """As end_once, and running it twice is fine."""
        return self.end_once(path)

    @tool
    def crash(self):
        ctypes.string_at(0)

    @tool
    def hang(self, path):
        """Hold the interpreter's lock for ever: a lock taken twice, in C, which no
        signal ends."""
        library = ctypes.PyDLL(None)
        lock = ctypes.create_string_buffer(64)
        touch(path)
        library.pthread_mutex_lock(lock)
        library.pthread_mutex_lock(lock)

    @tool
    def loop(self, path):
        """Python code without an end."""
        touch(path)
        while True:
            pass

    @tool
    def spin(self, path):
        """C code without an end, with the interpreter's lock, deaf to its signals."""
        touch(path)
        sum(itertools.repeat(1))

    @tool
    def doze(self, path):
        """Sleep in C, with the interpreter's lock."""
        library = ctypes.PyDLL(None)
        touch(path)
        library.usleep(600000000)

    @tool
    def futex(self, path):
        """Wait for a lock that nobody will release, with the interpreter's given up."""
        library = ctypes.CDLL(None)
        lock = ctypes.create_string_buffer(64)
        touch(path)
        library.pthread_mutex_lock(lock)
        library.pthread_mutex_lock(lock)

    @tool
    def freeze(self, path):
        """SIGSTOP, once it is known that the call runs."""
        touch(path)
        os.kill(os.getpid(), 19)

    @tool
    def stubborn(self, path):
        """Swallow every interruption."""
        touch(path)
        while True:
            try:
                while True:
                    time.sleep(0.05)
            except BaseException:
                pass

    @tool
    def polite(self, path):
        """Clean up when it is interrupted."""
        try:
            touch(path)
            time.sleep(600)
        finally:
            touch(path + ".cleaned")

    @tool
    def garbage(self):
        pipe = call_out_fd()
        for _ in range(64):
            os.write(pipe, b"\xffgarbage" * 512)
        time.sleep(600)

    @tool
    def flood(self, megabytes):
        line = b"x" * 99 + b"\n"
        block = line * (2**20 // len(line))
        for _ in range(megabytes):
            os.write(2, block)
        return megabytes

    @tool
    def stop_itself(self):
        """SIGSTOP: nothing of this process runs any more."""
        os.kill(os.getpid(), 19)
