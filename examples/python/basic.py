# SPDX-License-Identifier: MIT
"""Basic operations: is everything well, calls, and what a failure tells.

    python3 basic.py
"""

import snakepit


def main():
    # The showcase adapter comes with the worker; adapter="tools.py" would be your own.
    with snakepit.open(adapter="showcase", size=2) as pit:
        health = pit.health()
        print("health:", health["live"], health["ready"])

        print("call:", pit.call("add", a=5, b=3))
        print("echo:", pit.call("echo", text="hello"))

        # Something to wait for later, or to give to concurrent.futures.wait().
        later = pit.submit("add", a=20, b=22)
        print("submit:", later.result(timeout=60))

        # Failures are exceptions, with a code and with what is known: did the tool run?
        try:
            pit.call("adds", a=5, b=3)
        except snakepit.NotFoundError as error:
            print("no such tool:", error.code, error)
        try:
            pit.call("add", a="five", b=3)
        except snakepit.UsageError as error:
            print("does not fit:", error.code, error.executed)
        try:
            pit.call("error_demo", error_type="value")
        except snakepit.RemoteError as error:
            print("raised:", error.remote_type, error.executed)
        try:
            pit.call("sleep_task", duration_ms=60_000, timeout=0.3)
        except snakepit.DeadlineError as error:
            print("too slow:", error.code)

        print("and goes on:", pit.call("process_text", text="still here")["result"])


if __name__ == "__main__":
    main()
