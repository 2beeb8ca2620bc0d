# SPDX-License-Identifier: MIT
"""A tool that asks the program back: only the program knows the names.

    snakepit call --adapter greeter.py --tool customer_name='jq .number' greet number=1
"""

from snakepit_bridge import BaseAdapter, tool


class Greeter(BaseAdapter):
    @tool
    def greet(self, ctx, number: int):
        return f"Hello, {ctx.call_host_tool('customer_name', number=number)}!"

    @tool
    def known(self, ctx):
        """What the program offers: found at run time, not agreed before."""
        return sorted(ctx.host_tools)
