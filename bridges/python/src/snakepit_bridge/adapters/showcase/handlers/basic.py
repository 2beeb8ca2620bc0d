# SPDX-License-Identifier: MIT
"""ping, arithmetic, and what the worker says about itself."""

import math
import os
import sys
import time

from .... import _worker


def timestamp():
    """Now, as text in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def number(name, value):
    """The value, if it is a number; BadArguments otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _worker.BadArguments(
            f"{name} must be a number, not {type(value).__name__}"
        )
    return value


def whole(name, value, least=0):
    """The value, if it is a whole number of at least ``least``."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _worker.BadArguments(
            f"{name} must be a whole number, not {type(value).__name__}"
        )
    if value < least:
        raise _worker.BadArguments(f"{name} must be at least {least}, not {value}")
    return value


def seconds(name, value):
    """A pause in seconds, not negative."""
    if number(name, value) < 0:
        raise _worker.BadArguments(f"{name} must not be negative")
    return float(value)


def ping(message):
    return {"status": "pong", "message": message, "timestamp": timestamp()}


_OPERATIONS = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "modulo": lambda a, b: a % b,
    "power": lambda a, b: a**b,
    "sqrt": lambda a, b: math.sqrt(a),
    "log": lambda a, b: math.log(a) if not b else math.log(a, b),
    "exp": lambda a, b: math.exp(a),
    "min": min,
    "max": max,
}


def compute(operation, a, b):
    calculate = _OPERATIONS.get(operation)
    if calculate is None:
        raise _worker.BadArguments(
            f"unknown operation {operation!r}; known: {', '.join(_OPERATIONS)}"
        )
    number("a", a)
    number("b", b)
    if operation in ("divide", "modulo") and b == 0:
        raise ValueError("division by zero")
    return {
        "status": "success",
        "operation": operation,
        "inputs": {"a": a, "b": b},
        "result": calculate(a, b),
    }


def memory_bytes():
    """The worker's resident memory."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def uptime_seconds():
    """Since the process was started, from the kernel's own record."""
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started)


def system_info():
    uname = os.uname()
    return {
        "python_version": sys.version.split()[0],
        "implementation": sys.implementation.name,
        "executable": sys.executable,
        "platform": f"{uname.sysname} {uname.release} {uname.machine}",
        "processors": os.cpu_count(),
        "pid": os.getpid(),
    }


def info():
    return {
        "status": "success",
        "bridge_info": {
            "name": "snakepit_bridge",
            "version": _worker.VERSION,
            "worker_id": os.environ.get("SNAKEPIT_WORKER_ID", ""),
            "uptime": uptime_seconds(),
        },
        "system_info": system_info(),
        "timestamp": timestamp(),
    }


def _names(adapter):
    return [t.name for t in adapter.get_tools() if t.name != "execute_tool"]


def adapter_info(adapter, version):
    tools = [t for t in adapter.get_tools() if t.name != "execute_tool"]
    return {
        "adapter_name": type(adapter).__name__,
        "version": version,
        "capabilities": ["unary", "streaming", "sessions", "binary", "cancellation"],
        "handlers": [t.name for t in tools],
        "streams": [t.name for t in tools if t.supports_streaming],
    }


def get_stats(adapter, version):
    uptime = uptime_seconds()
    return {
        "adapter": {
            "name": type(adapter).__name__,
            "version": version,
            "registered_tools": len(_names(adapter)),
            "session_id": adapter.session_id,
        },
        "system": {
            "timestamp": timestamp(),
            "pid": os.getpid(),
            "memory_usage_mb": round(memory_bytes() / 2**20, 2),
            "cpu_percent": (
                round(100 * time.process_time() / uptime, 2) if uptime else 0.0
            ),
            "uptime_seconds": round(uptime, 3),
        },
        "success": True,
    }


def error_demo(error_type):
    if error_type == "value":
        raise ValueError("this is a demonstration of a ValueError")
    if error_type == "runtime":
        raise RuntimeError("this is a demonstration of a RuntimeError")
    if error_type == "type":
        raise TypeError("this is a demonstration of a TypeError")
    if error_type == "key":
        return {}["missing"]
    raise Exception("this is a demonstration of an exception")


def call_host(context, tool_name, parameters):
    offered = context.elixir_tools if context is not None else {}
    if tool_name not in offered:
        return {
            "error": f"the host offers no tool named {tool_name!r}",
            "available_tools": sorted(offered),
            "hint": "expose a function in the host program first",
        }
    return {
        "tool": tool_name,
        "result": context.call_elixir_tool(tool_name, **parameters),
        "source": "host",
        "message": f"called {tool_name} from Python",
    }
