# SPDX-License-Identifier: MIT
"""An adapter: a class whose methods are tools. One instance serves a worker's calls.

    snakepit tools --adapter adapter.py
    snakepit call --adapter adapter.py learn text="the cat sat on the mat"
    snakepit call --adapter adapter.py score '{"words": ["cat", "dog"]}'
    snakepit stream --adapter adapter.py countdown start=3
"""

from collections import Counter

from snakepit_bridge import BaseAdapter, tool


class Adapter(BaseAdapter):
    """Remembers which words it has seen, for as long as its worker lives."""

    def __init__(self):
        super().__init__()
        self.seen = Counter()

    @tool(description="Remember the words of a text")
    def learn(self, text: str) -> dict:
        self.seen.update(text.lower().split())
        return {"different": len(self.seen), "total": sum(self.seen.values())}

    @tool
    def score(self, words: list, weight: float = 1.0) -> dict:
        """How often each word was seen, times a weight.

        Type hints and defaults become what `snakepit tools score` prints.
        """
        return {word: self.seen[word] * weight for word in words}

    @tool
    def countdown(self, start: int = 3):
        """A generator's items leave one by one, as they are made."""
        try:
            for n in range(start, 0, -1):
                yield {"left": n}
        finally:
            self.seen["countdowns"] += 1  # also when the caller has left

    @tool
    def who(self) -> dict:
        """The session the caller named, "" without one."""
        return {"session": self.session_id}

    def execute_forget(self, arguments: dict) -> dict:
        """A method named execute_<command> takes all arguments as one dict."""
        forgotten = self.seen.pop(arguments.get("word"), 0)
        return {"forgotten": forgotten}
