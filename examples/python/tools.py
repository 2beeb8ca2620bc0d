# SPDX-License-Identifier: MIT
"""Tools in both directions: the program calls a worker, which calls the program.

    python3 tools.py

The worker's side is adapters/greeter.py. Arguments are checked against the annotations
before a function of the program runs.
"""

from pathlib import Path

import snakepit

ADAPTER = Path(__file__).resolve().parent.parent / "adapters" / "greeter.py"
NAMES = ["Ada", "Grace", "Barbara"]


def main():
    with snakepit.open(adapter=str(ADAPTER), size=1) as pit:

        @pit.tool
        def customer_name(number: int) -> str:
            """The name behind a customer's number."""
            print("the worker asks for customer", number)
            return NAMES[number]

        # A tool of one session does not exist for the others.
        with pit.session("shop") as shop:

            @pit.tool(session=shop.id)
            def discount(number: int) -> float:
                return 0.1 * number

            print("known in the shop:", shop.call("known"))
        print("known elsewhere:", pit.call("known"))

        print(pit.call("greet", number=1))
        try:
            pit.call("greet", number=7)
        except snakepit.RemoteError as error:
            print("customer 7:", error.remote_type, "-", error.remote_message)

        # What workers offer, with parameters and types.
        for tool in pit.tools():
            names = [parameter["name"] for parameter in tool["parameters"]]
            print("offered:", tool["name"], names)


if __name__ == "__main__":
    main()
