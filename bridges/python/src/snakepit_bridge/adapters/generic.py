# SPDX-License-Identifier: MIT
"""The generic command handler: four commands, enough to try a connection with."""

import os
import sys
import time

from ..core import BaseCommandHandler


class GenericCommandHandler(BaseCommandHandler):
    """ping, echo, compute and info as commands."""

    def _register_commands(self):
        self.register_command("ping", self.handle_ping)
        self.register_command("echo", self.handle_echo)
        self.register_command("compute", self.handle_compute)
        self.register_command("info", self.handle_info)

    def handle_ping(self, args):
        """Say that the worker is alive, and for how long."""
        return {
            "status": "ok",
            "bridge_type": "python",
            "uptime": time.time() - self.start_time,
            "requests_handled": self.request_count,
            "timestamp": time.time(),
            "python_version": sys.version,
            "worker_id": os.environ.get("SNAKEPIT_WORKER_ID", ""),
            "echo": args,
        }

    def handle_echo(self, args):
        """Give the arguments back."""
        return {"status": "ok", "echoed": args, "timestamp": time.time()}

    def handle_compute(self, args):
        """add, subtract, multiply or divide a and b."""
        from .showcase.handlers.basic import compute

        operation = args.get("operation", "add")
        result = compute(operation, args.get("a", 0), args.get("b", 0))
        return {"status": "ok", **result, "timestamp": time.time()}

    def handle_info(self, args):
        """What runs here."""
        from .showcase.handlers.basic import system_info

        return {
            "status": "ok",
            "bridge_info": {
                "name": "snakepit_bridge",
                "supported_commands": self.get_supported_commands(),
                "uptime": time.time() - self.start_time,
                "total_requests": self.request_count,
            },
            "system_info": system_info(),
            "timestamp": time.time(),
        }
