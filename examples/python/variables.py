# SPDX-License-Identifier: MIT
"""Variables of a session: typed, with rules and versions, seen by program and workers.

    python3 variables.py

The worker's side is adapters/thermostat.py. Nothing is kept in a worker: the two of the
pool take turns, and one that died would not be missed.
"""

from pathlib import Path

import snakepit

ADAPTER = Path(__file__).resolve().parent.parent / "adapters" / "thermostat.py"


def main():
    with snakepit.open(adapter=str(ADAPTER), size=2, affinity="none") as pit:
        with pit.session("house") as house:
            house.call("begin")
            print("variables:", {name: house[name] for name in sorted(house)})

            # What one side changes, the other one sees.
            house["mode"] = "night"
            print("18 at night:", house.call("measure", temperature=18.0))
            house["mode"] = "day"
            print("18 by day:", house.call("measure", temperature=18.0))
            print("measured:", house["measured"])

            # The host refuses what breaks a rule, whoever tries.
            print("23:", house.call("demand", temperature=23.0))
            print("99:", house.call("demand", temperature=99.0))
            try:
                house["mode"] = "holiday"
            except snakepit.SnakepitError as error:
                print("holiday:", error.code)

            print("back:", house.call("undo"))


if __name__ == "__main__":
    main()
