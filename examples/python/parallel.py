# SPDX-License-Identifier: MIT
"""Many calls at once: as a map, with threads of one's own, and in an event loop.

    python3 parallel.py
"""

import asyncio
import threading

import snakepit


def with_a_map(pit):
    """As many calls as keep the workers busy; results in the order of items."""
    sums = pit.map("add", ({"a": i, "b": i} for i in range(1000)))
    print("map:", sum(result["result"] for result in sums))


def with_threads(pit):
    """Any number of threads may call; each waits for its own answer."""
    answers = {}

    def ask(i):
        answers[i] = pit.call("add", a=i, b=1)["result"]

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("threads:", [answers[i] for i in range(8)])


async def in_a_loop():
    """The same without a thread: coroutines wait, the loop goes on."""
    async with snakepit.open(adapter="showcase", size=2, wait=False) as pit:
        calls = [pit.acall("add", a=i, b=1) for i in range(5)]
        print("gather:", [result["result"] for result in await asyncio.gather(*calls)])

        total = 0
        async for result in pit.amap("add", ({"a": i, "b": i} for i in range(100))):
            total += result["result"]
        print("amap:", total)

        try:
            await pit.acall("error_demo", error_type="value")
        except snakepit.RemoteError as error:
            print("failure:", error.remote_type)


def main():
    with snakepit.open(adapter="showcase", size=2) as pit:
        with_a_map(pit)
        with_threads(pit)
        print("workers:", pit.stats()["workers"], "calls:", pit.stats()["requests"])
    asyncio.run(in_a_loop())


if __name__ == "__main__":
    main()
