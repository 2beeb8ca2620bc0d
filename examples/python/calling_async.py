# SPDX-License-Identifier: MIT
"""The same in an event loop: many calls at once, without a thread.

    python3 calling_async.py
"""

import asyncio

import snakepit


async def main():
    async with snakepit.open(adapter="showcase", size=2, wait=False) as pit:
        calls = [pit.acall("add", a=i, b=1) for i in range(5)]
        print("gather:", [result["result"] for result in await asyncio.gather(*calls)])

        total = 0
        async for result in pit.amap("add", ({"a": i, "b": i} for i in range(100))):
            total += result["result"]
        print("amap:", total)

        async for chunk in pit.astream("ping_stream", count=2):
            print("astream:", chunk["message"])

        try:
            await pit.acall("error_demo", error_type="value")
        except snakepit.RemoteError as error:
            print("failure:", error.remote_type)


if __name__ == "__main__":
    asyncio.run(main())
