# SPDX-License-Identifier: MIT
"""Command handlers: the small way to write a worker, one method per command.

    class Text(BaseCommandHandler):
        def _register_commands(self):
            self.register_command("uppercase", self.handle_uppercase)

        def handle_uppercase(self, args):
            return {"result": args.get("text", "").upper()}

    if __name__ == "__main__":
        ProtocolHandler(Text()).run()

Such a script is a worker when a host starts it (directly, or with its file as the
adapter). It speaks what every other worker speaks; the pipes that earlier versions used
are gone, and with them the choice of a protocol.
"""

import sys
import time


def safe_print(message, file=None):
    """Print a line; a reader that is gone is no error."""
    try:
        print(message, file=sys.stderr if file is None else file, flush=True)
    except (OSError, ValueError):
        pass


class BaseCommandHandler:
    """Commands by name. Subclasses implement ``_register_commands``."""

    def __init__(self):
        self.start_time = time.time()
        self.request_count = 0
        self._commands = {}
        self._register_commands()

    def _register_commands(self):
        raise NotImplementedError(
            f"{type(self).__name__} must define _register_commands()"
        )

    def register_command(self, name, handler):
        """Let ``handler(args)`` run the command; args is a dict."""
        if not callable(handler):
            raise TypeError(f"the handler of {name!r} is not callable")
        self._commands[name] = handler

    def get_supported_commands(self):
        """The names, in the order they were registered."""
        return list(self._commands)

    def commands(self):
        """What a worker serves: each command's handler, counted."""
        return {name: self._counted(call) for name, call in self._commands.items()}

    def _counted(self, handler):
        def command(args):
            self.request_count += 1
            return handler(args)

        command.__wrapped__ = handler
        command.__doc__ = handler.__doc__
        return command

    def process_command(self, command, args):
        """Run a command by hand; failures come back as a dict with status "error"."""
        self.request_count += 1
        handler = self._commands.get(command)
        if handler is None:
            return {
                "status": "error",
                "error": f"Unknown command: {command}",
                "supported_commands": self.get_supported_commands(),
                "timestamp": time.time(),
            }
        try:
            return handler(args)
        except Exception as failure:
            return {
                "status": "error",
                "error": str(failure),
                "error_type": type(failure).__name__,
                "command": command,
                "timestamp": time.time(),
            }


class ProtocolHandler:
    """Serves a command handler over the sockets the host left.

    protocol and quiet are accepted for the sake of older scripts and change nothing.
    """

    def __init__(self, command_handler, protocol="auto", quiet=False):
        self.command_handler = command_handler
        self.protocol = protocol
        self.quiet = quiet
        self._worker = None
        self._stopped = False

    def run(self):
        """Serve until the host is gone or asks to stop."""
        from . import _serve, loader, worker

        tools = loader.tools_of_handler(self.command_handler)
        opened_here = worker._open_worker is None
        if opened_here:
            worker.prepare_process()
            self._worker = worker.open_worker()
        else:
            self._worker = worker._open_worker
        try:
            if not self._stopped:
                tools.start()
                worker.serve(self._worker, tools)
        finally:
            tools.stop()
            if opened_here:
                _serve.finish()
                self._worker.close()

    def request_shutdown(self):
        """Let run() return after the call that runs now."""
        self._stopped = True
        if self._worker is not None:
            self._worker.stop()


def setup_graceful_shutdown(protocol_handler):
    """Make SIGTERM and SIGINT end the process in good order before run() has begun;
    while it serves, run() sees to that itself."""
    import _signal

    def stop(number, frame):
        protocol_handler.request_shutdown()
        raise SystemExit(0)

    for number in (_signal.SIGTERM, _signal.SIGINT):
        _signal.signal(number, stop)


def setup_broken_pipe_suppression():
    """At exit, do not complain that nobody reads the output any more."""
    import atexit

    def flush_quietly():
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError):
                try:
                    stream.close()
                except (OSError, ValueError, AttributeError):
                    pass

    atexit.register(flush_quietly)
