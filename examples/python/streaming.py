# SPDX-License-Identifier: MIT
"""A stream: one question, many chunks, read at the program's own pace.

    python3 streaming.py

The tools are generators in a worker. They run ahead by about a mebibyte and then wait,
however slowly this loop reads; leaving it early ends them, and their `finally` runs.
"""

import asyncio

import snakepit


def main():
    with snakepit.open(adapter="showcase", size=1) as pit:
        numbers = [chunk["value"] for chunk in pit.stream("stream_fibonacci", count=10)]
        print("fibonacci:", numbers)

        for chunk in pit.stream("stream_progress", steps=4, delay_ms=1):
            print("progress:", chunk["message"])

        read = 0
        with pit.stream("infinite_stream", delay_ms=1) as endless:
            for _ in endless:
                read += 1
                if read == 5:
                    break
        print("an endless stream was left after", read)


async def in_a_loop():
    async with snakepit.open(adapter="showcase", size=1, wait=False) as pit:
        async for chunk in pit.astream("ping_stream", count=2):
            print("astream:", chunk["message"])


if __name__ == "__main__":
    main()
    asyncio.run(in_a_loop())
