# SPDX-License-Identifier: MIT
"""A program in Python whose work is done by a pool of worker processes.

    python3 calling.py
"""

import snakepit

PRICES = {"apple": 3, "pear": 5}


def main():
    # The showcase adapter, which comes with the worker; adapter="tools.py" is your own.
    with snakepit.open(adapter="showcase", size=2) as pit:
        print("call:", pit.call("add", a=2, b=3))

        # As many calls at once as keep the workers busy; results in the order of items.
        sums = pit.map("add", ({"a": i, "b": i} for i in range(5)))
        print("map:", [result["result"] for result in sums])

        # Something to wait for later, or to give to concurrent.futures.wait().
        later = pit.submit("add", a=20, b=22)
        print("submit:", later.result(timeout=60))

        # Chunks as they come; leaving the loop cancels the tool.
        for chunk in pit.stream("ping_stream", count=2):
            print("stream:", chunk["message"])

        # Calls of a session share variables and, where possible, a worker.
        with pit.session() as session:
            session["rate"] = 0.5
            print("session:", session["rate"], list(session))

        # A function of this program that a worker calls while it runs a tool.
        @pit.tool
        def price(article: str) -> int:
            return PRICES[article]

        print("tools:", sorted(tool["name"] for tool in pit.tools())[:2], "...")

        # Failures are exceptions with all that is known.
        try:
            pit.call("add", a="two", b=3)
        except snakepit.UsageError as error:
            print("failure:", error.code, error.executed)


if __name__ == "__main__":
    main()
