# SPDX-License-Identifier: MIT
"""Programs that outlive their worker: this adapter makes and runs them, the host keeps
them. c/programs.c shows the host's side.

A program is a signature such as "text -> words, letters" and how to get from one side
to the other. Where another adapter would compile a prompt or fit a model, this one
looks up functions.
"""

import uuid

from snakepit_bridge import BaseAdapter, tool

FUNCTIONS = {
    "words": lambda text: len(text.split()),
    "letters": lambda text: sum(map(str.isalpha, text)),
    "backwards": lambda text: text[::-1],
}


class Adapter(BaseAdapter):
    @tool
    def create_program(self, session_id: str, signature: str) -> dict:
        """What this returns is stored under its program_id."""
        given, _, wanted = (part.strip() for part in signature.partition("->"))
        outputs = [name.strip() for name in wanted.split(",")]
        for name in outputs:
            if name not in FUNCTIONS:
                raise ValueError(f"{name!r} is none of {sorted(FUNCTIONS)}")
        return {"program_id": f"program-{uuid.uuid4().hex[:8]}", "signature": signature,
                "input": given, "outputs": outputs, "made_for": session_id}

    @tool
    def execute_program(self, session_id: str, program_id: str, input: dict,
                        program_data: dict = None) -> dict:
        """program_data is what create_program returned, from wherever it ran."""
        if program_data is None:
            raise LookupError(f"no program {program_id} in session {session_id}")
        text = input[program_data["input"]]
        return {name: FUNCTIONS[name](text) for name in program_data["outputs"]}
