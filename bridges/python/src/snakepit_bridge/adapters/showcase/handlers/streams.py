# SPDX-License-Identifier: MIT
"""Streams: generators whose items leave as they are made."""

import time

from .basic import seconds, timestamp, whole


def data(count, delay):
    count, delay = whole("count", count), seconds("delay", delay)
    return _data(count, delay)


def _data(count, delay):
    for index in range(1, count + 1):
        if index > 1 and delay:
            time.sleep(delay)
        yield {
            "index": index,
            "total": count,
            "message": f"chunk {index} of {count}",
            "timestamp": timestamp(),
            "is_final": index == count,
        }


def pings(count, interval):
    count, interval = whole("count", count), seconds("interval", interval)
    return _pings(count, interval)


def _pings(count, interval):
    for number in range(1, count + 1):
        if number > 1 and interval:
            time.sleep(interval)
        yield {
            "ping_number": number,
            "timestamp": timestamp(),
            "message": f"ping {number} of {count}",
            "is_final": number == count,
        }


def progress(steps, delay_ms):
    steps, delay = whole("steps", steps), seconds("delay_ms", delay_ms) / 1000
    return _progress(steps, delay)


def _progress(steps, delay):
    started = time.monotonic()
    for step in range(1, steps + 1):
        if delay:
            time.sleep(delay)
        yield {
            "step": step,
            "total": steps,
            "progress": round(100 * step / steps, 1),
            "message": f"step {step} of {steps}",
            "elapsed_ms": round((time.monotonic() - started) * 1000, 3),
            "is_final": step == steps,
        }


def fibonacci(count):
    return _fibonacci(whole("count", count))


def _fibonacci(count):
    value, following = 0, 1
    for index in range(count):
        yield {"index": index, "value": value, "is_final": index == count - 1}
        value, following = following, value + following


def generate_dataset(rows, chunk_size):
    return _generate_dataset(whole("rows", rows), whole("chunk_size", chunk_size, 1))


def _generate_dataset(rows, chunk_size):
    import random

    source = random.Random(rows)
    made = 0
    while made < rows:
        n = min(chunk_size, rows - made)
        chunk = [
            {
                "id": made + i,
                "value": source.gauss(100.0, 15.0),
                "category": source.choice(("north", "east", "south", "west")),
            }
            for i in range(n)
        ]
        made += n
        yield {
            "rows_in_chunk": n,
            "total_rows": rows,
            "generated": made,
            "data_sample": chunk[:3],
            "is_final": made == rows,
        }


def infinite(delay_ms):
    return _infinite(seconds("delay_ms", delay_ms) / 1000)


def _infinite(delay):
    index = 0
    while True:
        index += 1
        yield {"index": index, "message": f"message {index}", "timestamp": timestamp()}
        if delay:
            time.sleep(delay)
