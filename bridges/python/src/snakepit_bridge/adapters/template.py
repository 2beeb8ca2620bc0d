# SPDX-License-Identifier: MIT
"""An adapter to copy: every hook there is, and one tool of each kind."""

import time

from ..base_adapter import BaseAdapter, tool


class TemplateAdapter(BaseAdapter):
    """Start here: rename the class, replace the tools, keep the hooks you need."""

    def __init__(self):
        super().__init__()
        self.started_at = None

    async def initialize(self):
        """Once, before the first call: load models, open connections."""
        self.started_at = time.time()

    async def cleanup(self):
        """Once, after the last call."""
        self.started_at = None

    def set_session_context(self, context):
        """Before each call: context.session_id says for whom."""
        self.session_context = context

    def get_info(self):
        """What the adapter says of itself."""
        return {"name": type(self).__name__, "started_at": self.started_at}

    @tool
    def example_tool(self, text: str, repeat: int = 1):
        """Repeat a text: arguments arrive by name."""
        return {"result": text * repeat}

    @tool
    def example_stream(self, count: int = 3):
        """Count: a generator is a stream."""
        for number in range(1, count + 1):
            yield {"number": number, "is_final": number == count}

    async def execute_example_command(self, args):
        """A command: all arguments arrive as one dict."""
        return {"status": "success", "received": args}
