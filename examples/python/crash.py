# SPDX-License-Identifier: MIT
"""Crash recovery: what a program sees when a worker dies.

    python3 crash.py

There is no adapter: with "none" any importable function can be called, os.abort too.
"""

import os
import signal
import time

import snakepit


def busy_worker(pit):
    """The process that has the call, as soon as one has it."""
    while True:
        for worker in pit.workers():
            if worker["state"] == "busy":
                return worker["pid"]
        time.sleep(0.005)


def main():
    with snakepit.open(adapter="none", size=2) as pit:
        # A tool brings its process down: its call fails, and the failure says how.
        try:
            pit.call("os.abort")
        except snakepit.WorkerDiedError as error:
            print("os.abort:", error.code, "signal", error.worker_signal)
        print("the next call:", pit.call("math.sqrt", 2.25))

        # A worker is killed under a call that may be repeated: the caller sees nothing.
        call = pit.submit("time.sleep", 0.5, idempotent=True)
        os.kill(busy_worker(pit), signal.SIGKILL)
        print("its worker killed:", call.result(timeout=60))

        # A call that brings down whatever worker it gets is given up.
        try:
            pit.call("os.abort", idempotent=True)
        except snakepit.SnakepitError as error:
            print("again and again:", error.code, "attempts", error.attempts)

        stats = pit.stats()
        print("workers died:", stats["workers_died"], "retried:", stats["retried"])
        print("and goes on:", pit.call("math.sqrt", 6.25))


if __name__ == "__main__":
    main()
