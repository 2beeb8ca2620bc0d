# SPDX-License-Identifier: MIT
"""Following a log file that grows, and judging its lines."""

import os
import re
import time

from .... import _worker
from .basic import seconds, timestamp, whole

_PAUSE = 0.05  # between looks at a file that has nothing new
_SEVERITIES = (
    ("critical", re.compile(r"\b(critical|fatal|panic|emerg\w*|alert)\b", re.I)),
    ("error", re.compile(r"\b(error|err|exception|traceback|failed|failure)\b", re.I)),
    (
        "warning",
        re.compile(r"\b(warn|warning|deprecated|retry\w*|timed? ?out)\b", re.I),
    ),
    ("debug", re.compile(r"\b(debug|trace)\b", re.I)),
)


def severity(line):
    """The gravest word in the line decides; "info" when there is none."""
    for name, words in _SEVERITIES:
        if words.search(line):
            return name
    return "info"


def tail(file_path, follow, max_lines, pattern, idle_timeout):
    follow = seconds("follow", follow)
    idle_timeout = seconds("idle_timeout", idle_timeout)
    max_lines = whole("max_lines", max_lines)
    try:
        wanted = re.compile(pattern) if pattern else None
    except re.error as failure:
        raise _worker.BadArguments(f"pattern is no regular expression: {failure}")
    path = os.path.expanduser(file_path)
    return _tail(path, open(path, "rb"), follow, max_lines, wanted, idle_timeout)


class Follower:
    """A file that grows, is cut short, or is replaced by a new one of its name."""

    def __init__(self, path, file):
        self._path = path
        self._file = file
        self._rest = b""

    def close(self):
        self._file.close()

    def lines(self):
        """The complete lines that have come since the last time."""
        if self._was_cut():
            self._file.seek(0)
            self._rest = b""
        for part in self._file:
            line = self._rest + part
            if not line.endswith(b"\n"):
                self._rest = line
                break
            self._rest = b""
            yield line.rstrip(b"\r\n").decode("utf-8", "replace")
        else:
            self._follow_replacement()

    def last(self):
        """A last line without its end, when nothing more will come."""
        rest, self._rest = self._rest, b""
        return rest.decode("utf-8", "replace")

    def _was_cut(self):
        return os.fstat(self._file.fileno()).st_size < self._file.tell()

    def _follow_replacement(self):
        try:
            there = os.stat(self._path)
        except OSError:
            return  # being rotated: look again
        ours = os.fstat(self._file.fileno())
        if (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
            file = open(self._path, "rb")
            self._file.close()
            self._file = file


def _new_lines(follower, follow, idle_timeout):
    """Lines as they come, until the time is over or nothing came for too long."""
    ends = time.monotonic() + follow
    quiet_since = time.monotonic()
    while True:
        for line in follower.lines():
            quiet_since = time.monotonic()
            yield line
        now = time.monotonic()
        if now >= ends or (idle_timeout and now - quiet_since >= idle_timeout):
            break
        time.sleep(min(_PAUSE, ends - now))
    last = follower.last()
    if last:
        yield last


def _tail(path, file, follow, max_lines, wanted, idle_timeout):
    follower = Follower(path, file)
    counts = {}
    entries = skipped = 0
    started = time.monotonic()
    try:
        for line in _new_lines(follower, follow, idle_timeout):
            if wanted is not None and not wanted.search(line):
                skipped += 1
                continue
            entries += 1
            kind = severity(line)
            counts[kind] = counts.get(kind, 0) + 1
            chunk = {
                "log_entry": line,
                "severity": kind,
                "timestamp": timestamp(),
                "entry_number": entries,
                "is_final": False,
            }
            if kind in ("error", "critical"):
                chunk["alert"] = f"{kind} number {counts[kind]}: {line[:200]}"
            yield chunk
            if max_lines and entries >= max_lines:
                break
    finally:
        follower.close()
    yield {
        "is_final": True,
        "total_processed": entries,
        "skipped": skipped,
        "counts": counts,
        "seconds": round(time.monotonic() - started, 3),
    }
