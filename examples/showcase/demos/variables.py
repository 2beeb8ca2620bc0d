# SPDX-License-Identifier: MIT
"""Variables of a session: types, rules, versions."""

import snakepit

from . import EXAMPLE_ADAPTERS

TITLE = "Variable management: types, constraints, versions"


def run(stage):
    stage.say("""Variables live with the session, in the host. Each has a type and may
              have rules, which are checked whoever writes. The workers here run a
              thermostat; any of them may serve any call.""")
    adapter = str(EXAMPLE_ADAPTERS / "thermostat.py")
    with snakepit.open(adapter=adapter, size=2, affinity="none") as pit:
        with pit.session("house") as house:
            house.call("begin")
            for name in sorted(house):
                stage.show(name, repr(house[name]))
            both_sides(stage, house)
            rules(stage, house)
            versions(stage, house)
            types(stage, house)


def both_sides(stage, house):
    stage.say("What the program sets, the worker sees with its next call, and the "
              "other way round.")
    stage.code('house["mode"] = "night"\nhouse.call("measure", temperature=18.0)')
    house["mode"] = "night"
    at_night = house.call("measure", temperature=18.0)
    house["mode"] = "day"
    by_day = house.call("measure", temperature=18.0)
    stage.check("18 degrees do by night and not by day",
                (at_night["heat"], by_day["heat"]) == (False, True))
    stage.check("the worker noted both", house["measured"] == [18.0, 18.0])


def rules(stage, house):
    stage.say("The temperature has a minimum of 5 and a maximum of 30.")
    answer = house.call("demand", temperature=99.0)
    stage.show("the worker asks for 99", answer["refused"])
    stage.check("refused, and nothing is changed", house["wanted"] == 20.0)
    for value in ("warm", 3.0):
        try:
            house["wanted"] = value
            stage.check(f"{value!r} is refused", False)
        except snakepit.SnakepitError as error:
            stage.check(f"{value!r} from the program: {error.code}",
                        error.code == "SP-BAD-VALUE")


def versions(stage, house):
    stage.say("Every change is a version. Going back makes another one.")
    house.call("demand", temperature=23.0)
    values = house.call("undo")
    stage.show("newest first", values)
    stage.check("back to 20 in version 2", values == [20.0, 23.0, 20.0])


def types(stage, house):
    stage.say("A new variable gets the type that fits its value.")
    examples = {"count": 3, "name": "cellar", "is_open": True, "rooms": ["a", "b"],
                "plan": {"floor": 1}, "ratio": 0.5}
    for name, value in examples.items():
        house[name] = value
        stage.show(name, repr(house[name]))
    stage.check("all come back as they went",
                all(house[name] == value for name, value in examples.items()))
