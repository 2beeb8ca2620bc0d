# SPDX-License-Identifier: MIT
"""Custom adapters: a class whose methods are tools, and plain functions of a file.

    python3 adapter.py

The adapters are adapters/adapter.py and adapters/wordcount.py; `snakepit gen adapter
NAME` writes the beginning of another one.
"""

from pathlib import Path

import snakepit

ADAPTERS = Path(__file__).resolve().parent.parent / "adapters"
TEXT = "to be or not to be"


def main():
    # A class: one object serves all calls of its worker, and remembers.
    with snakepit.open(adapter=str(ADAPTERS / "adapter.py"), size=1) as pit:
        print("learnt:", pit.call("learn", text=TEXT))
        print("scores:", pit.call("score", words=["be", "cat"], weight=10))
        chunks = pit.stream("countdown", start=3)
        print("countdown:", [chunk["left"] for chunk in chunks])

        # Type hints and defaults are what callers can ask for.
        for tool in pit.tools():
            if tool["name"] == "score":
                for parameter in tool["parameters"]:
                    print("score takes", parameter["name"], parameter["type"],
                          "required" if parameter["required"] else "optional")

    # A file of functions that know nothing of snakepit is an adapter as it is.
    with snakepit.open(adapter=str(ADAPTERS / "wordcount.py"), size=1) as pit:
        print("count:", pit.function("count")(text=TEXT, top=1))


if __name__ == "__main__":
    main()
