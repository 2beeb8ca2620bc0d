# SPDX-License-Identifier: MIT
"""An adapter as the original has them: one object for every call, one method for all."""

import os
import sys


class OriginalAdapter:
    TOOLS = ("add", "echo", "fail", "where", "stream_numbers", "stream_fail", "shout")

    def execute_tool(self, tool_name, arguments, context):
        if tool_name == "add":
            return arguments["a"] + arguments["b"]
        if tool_name == "echo":
            return arguments["value"]
        if tool_name == "where":
            return {"cwd": os.getcwd(), "argv": sys.argv, "pid": os.getpid(),
                    "session": context.session_id}
        if tool_name == "stream_numbers":
            return iter(range(1, arguments["n"] + 1))
        if tool_name == "stream_fail":
            return self.numbers_then_fail()
        if tool_name == "shout":
            return context.call_elixir_tool("upper", text=arguments["text"], n=2)
        raise ValueError(f"cannot do {tool_name}")

    @staticmethod
    def numbers_then_fail():
        yield 1
        raise KeyError("later")
