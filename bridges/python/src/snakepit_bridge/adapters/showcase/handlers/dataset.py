# SPDX-License-Identifier: MIT
"""A CSV file of any size in the memory of one chunk, with statistics of its columns.

Means and variances are gathered per chunk and joined (Chan, Golub and LeVeque 1979),
which is as stable as Welford's method and lets the loops run in C.
"""

import math
import os
import time

from .basic import whole

_DISTINCT_MAX = 1000  # different texts of a column that are counted exactly


class Column:
    """Running statistics of one column."""

    __slots__ = ("name", "count", "mean", "m2", "min", "max", "missing", "texts",
                 "distinct", "longest")  # fmt: skip

    def __init__(self, name):
        self.name = name
        self.count = 0
        self.mean = 0.0
        self.m2 = 0.0
        self.min = math.inf
        self.max = -math.inf
        self.missing = 0
        self.texts = 0
        self.distinct = set()
        self.longest = 0

    def add(self, cells):
        """Take the column's cells of one chunk."""
        try:
            numbers = list(map(float, cells))
        except ValueError:
            numbers = self._sort_out(cells)
        if numbers:
            self._join(numbers)

    def _sort_out(self, cells):
        numbers = []
        for cell in cells:
            text = cell.strip()
            if not text:
                self.missing += 1
                continue
            try:
                numbers.append(float(text))
            except ValueError:
                self.texts += 1
                self.longest = max(self.longest, len(text))
                if len(self.distinct) < _DISTINCT_MAX:
                    self.distinct.add(text)
        return numbers

    def _join(self, numbers):
        n = len(numbers)
        mean = math.fsum(numbers) / n
        m2 = math.fsum([(x - mean) ** 2 for x in numbers])
        total = self.count + n
        delta = mean - self.mean
        self.m2 += m2 + delta * delta * self.count * n / total
        self.mean += delta * n / total
        self.count = total
        self.min = min(self.min, min(numbers))
        self.max = max(self.max, max(numbers))

    def result(self):
        """The statistics as plain data."""
        summary = {"count": self.count + self.texts, "missing": self.missing}
        if self.count:
            summary.update(
                mean=self.mean,
                min=self.min,
                max=self.max,
                std=math.sqrt(self.m2 / (self.count - 1)) if self.count > 1 else 0.0,
            )
        if self.texts:
            summary.update(
                texts=self.texts, distinct=len(self.distinct), longest=self.longest
            )
        return summary


class CountedLines:
    """The lines of a file as text, counting the bytes that were read."""

    def __init__(self, file):
        self._file = file
        self.bytes_read = 0

    def __iter__(self):
        return self

    def __next__(self):
        line = next(self._file)
        self.bytes_read += len(line)
        return line.decode("utf-8", "replace")


def process(file_path, chunk_size, total_rows):
    chunk_size = whole("chunk_size", chunk_size, 1)
    if total_rows is not None:
        total_rows = whole("total_rows", total_rows)
    file = open(os.path.expanduser(file_path), "rb")
    return _process(file, chunk_size, total_rows)


def _chunks(rows, size):
    chunk = []
    for row in rows:
        if not row:
            continue  # an empty line
        chunk.append(row)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _add(columns, chunk):
    width = len(columns)
    if any(len(row) != width for row in chunk):
        chunk = [(row + [""] * width)[:width] for row in chunk]
    for column, cells in zip(columns, zip(*chunk)):
        column.add(cells)


def _process(file, chunk_size, total_rows):
    import csv

    with file:
        size = os.fstat(file.fileno()).st_size
        lines = CountedLines(file)
        reader = csv.reader(lines)
        header = next(reader, [])
        if header:
            header[0] = header[0].lstrip("\ufeff")
        columns = [Column(name) for name in header]
        header_bytes = lines.bytes_read
        started = time.monotonic()
        done = chunk_number = 0
        for chunk in _chunks(reader, chunk_size):
            _add(columns, chunk)
            done += len(chunk)
            chunk_number += 1
            # Without a word from the caller: as many rows per byte as so far.
            share = (lines.bytes_read - header_bytes) / max(1, size - header_bytes)
            expected = total_rows or round(done / max(share, 1e-9))
            percent = round(100 * lines.bytes_read / size, 1) if size else 100.0
            yield {
                "progress_percent": percent,
                "progress": percent,
                "processed_rows": done,
                "records_processed": done,
                "total_rows": expected,
                "total_records": expected,
                "chunk_number": chunk_number,
                "chunk_size": len(chunk),
                "is_final": False,
            }
        elapsed = time.monotonic() - started
        yield {
            "is_final": True,
            "progress_percent": 100.0,
            "progress": 100.0,
            "processed_rows": done,
            "records_processed": done,
            "total_rows": done,
            "total_records": done,
            "total_processed": done,
            "chunks": chunk_number,
            "bytes": size,
            "seconds": round(elapsed, 3),
            "rows_per_second": round(done / elapsed) if elapsed else None,
            "final_stats": {
                "rows": done,
                "columns": {column.name: column.result() for column in columns},
            },
        }
