# SPDX-License-Identifier: MIT
"""Variables with rules, used by a worker; the host keeps them, so any worker will do.

    snakepit call --session house --adapter thermostat.py begin
"""

from snakepit_bridge import BadValue, BaseAdapter, tool


class Thermostat(BaseAdapter):
    @tool
    def begin(self, ctx):
        """Register what the session is about: the host checks types and limits."""
        ctx.register_variable("wanted", "float", 20.0, {"min": 5, "max": 30})
        ctx.register_variable("mode", "choice", "day", {"choices": ["day", "night"]})
        ctx.register_variable("measured", "list", [])

    @tool
    def measure(self, ctx, temperature: float):
        """Note a temperature, and say whether to heat."""
        ctx["measured"] = ctx["measured"] + [temperature]
        least = ctx["wanted"] - (3 if ctx["mode"] == "night" else 0)
        return {"heat": temperature < least}

    @tool
    def demand(self, ctx, temperature: float):
        """Change what is wanted, if it is allowed."""
        try:
            ctx["wanted"] = temperature
        except BadValue as refused:
            return {"wanted": ctx["wanted"], "refused": str(refused)}
        return {"wanted": ctx["wanted"]}

    @tool
    def undo(self, ctx):
        """Back to the first wish, as a new version."""
        ctx.rollback("wanted", 0)
        return [version["value"] for version in ctx.history("wanted")]
