# SPDX-License-Identifier: MIT
"""Programs: JSON the host keeps under a name, as methods of SessionContext. Those of
the session live as long as it does, global ones are shared by all sessions."""

from ._reply import ask, plain
from ._variables import to_json

GLOBAL_TTL = 3600.0  # seconds, as the original had it


class ProgramCalls:
    """Needs of its class: _ask_state() asks through the running call, which
    _asking() gives."""

    def store_program(self, program_id, data):
        """Keep a program, in place of one by that id."""
        return self._store(program_id, data, False, 0, False)

    def update_program(self, program_id, data):
        """Keep it only if there is one by that id; NotFound otherwise."""
        return self._store(program_id, data, False, 0, True)

    def get_program(self, program_id):
        """Its data. NotFound when there is none."""
        return ask(lambda: self._ask_state("program_get", program_id, False)["data"])

    def delete_program(self, program_id):
        """Delete it. NotFound when there is none."""
        return ask(self._ask_state, "program_delete", program_id, False)

    def list_programs(self):
        """The session's programs: dicts with id, data, created_at, updated_at."""
        return ask(self._ask_state, "programs_list", False)

    def store_global_program(self, program_id, data, ttl=GLOBAL_TTL):
        """Keep a program for all sessions. ttl: seconds, None: for ever."""
        ttl_ms = -1 if ttl is None else max(1, int(ttl * 1000))
        return self._store(program_id, data, True, ttl_ms, False)

    def update_global_program(self, program_id, data):
        """Keep it only if there is one; its time to live goes on."""
        return self._store(program_id, data, True, 0, True)

    def get_global_program(self, program_id):
        """Its data. NotFound when there is none, or its time has passed."""
        return ask(lambda: self._asking().program_get(program_id, True)["data"])

    def delete_global_program(self, program_id):
        """Delete it. NotFound when there is none."""
        return ask(lambda: self._asking().program_delete(program_id, True))

    def list_global_programs(self):
        """The programs of all sessions, with ``remaining`` seconds (None: for ever)."""
        return ask(lambda: self._asking().programs_list(True))

    def _store(self, program_id, data, is_global, ttl_ms, must_exist):
        facts = (program_id, to_json(plain(data)), is_global, ttl_ms, must_exist)
        if is_global:
            return ask(lambda: self._asking().program_store(*facts))
        return ask(self._ask_state, "program_store", *facts)
