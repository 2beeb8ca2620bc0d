# SPDX-License-Identifier: MIT
"""ShowcaseAdapter: the default adapter, and an index of its tools.

Each method says what a tool takes and does; the work is in ``handlers``, one file per
kind, imported when a tool of it is first called.
"""

from ...base_adapter import BaseAdapter, tool
from . import handlers

VERSION = "2.0.0"


class ShowcaseAdapter(BaseAdapter):
    """Tools that show what a worker can do, each doing real work."""

    def __init__(self):
        super().__init__()
        self._sessions = None

    def execute_tool(self, tool_name, arguments, context=None):
        """Run a tool by name, as a host without tool lists does."""
        if context is not None:
            self.session_context = context
        for registration in self.get_tools():
            if registration.name == tool_name and tool_name != "execute_tool":
                return self.call_tool(tool_name, **arguments)
        raise ValueError(f"unknown tool: {tool_name}")

    execute_tool._finds_tools_only = True  # the worker may call the methods directly

    # ---- basic ----

    @tool
    def ping(self, message: str = "pong"):
        """Answer "pong"."""
        return handlers.basic.ping(message)

    @tool
    def echo(self, **arguments):
        """Give all arguments back."""
        return {"echoed": arguments}

    @tool
    def add(self, a: float, b: float):
        """Add two numbers."""
        return {"result": handlers.basic.number("a", a) + handlers.basic.number("b", b)}

    @tool
    def compute(self, operation: str = "add", a: float = 0, b: float = 0):
        """Calculate: add, subtract, multiply, divide, power, modulo, sqrt, log, exp."""
        return handlers.basic.compute(operation, a, b)

    @tool
    def info(self):
        """Describe the bridge and the system it runs on."""
        return handlers.basic.info()

    @tool
    def adapter_info(self):
        """Describe the adapter and what it can do."""
        return handlers.basic.adapter_info(self, VERSION)

    @tool
    def get_stats(self):
        """Measure the worker: memory, processor time, uptime."""
        return handlers.basic.get_stats(self, VERSION)

    @tool
    def error_demo(self, error_type: str = "generic"):
        """Raise an exception: value, runtime, type, key or generic."""
        handlers.basic.error_demo(error_type)

    # ---- text ----

    @tool
    def process_text(self, text: str, operation: str = "upper"):
        """Change or measure a text: upper, lower, title, reverse, length, words."""
        return handlers.text.process(text, operation)

    @tool
    def ml_analyze_text(self, text: str):
        """Statistics, keywords, readability and sentiment of a text."""
        return handlers.text.analyze(text)

    # ---- binary ----

    @tool
    def process_binary(self, data: bytes, operation: str = "checksum"):
        """Examine bytes: checksum, entropy, histogram or info. Text is base64."""
        return handlers.binary.process(data, operation)

    @tool
    def create_tensor(self, name: str, shape: list, size_bytes: int = 0):
        """Make a tensor of random numbers and say how it would travel."""
        return handlers.binary.create_tensor(name, shape, size_bytes)

    @tool
    def create_embedding(self, text: str, dimensions: int = 128):
        """Embed a text by hashing its character trigrams."""
        return handlers.binary.create_embedding(text, dimensions)

    @tool
    def benchmark_encoding(
        self, start_kb: int = 1, end_kb: int = 100, step_kb: int = 10
    ):
        """Measure numbers as JSON against raw bytes, for growing sizes."""
        return handlers.binary.benchmark_encoding(start_kb, end_kb, step_kb)

    # ---- sessions ----

    @property
    def sessions(self):
        """What tools remember per session."""
        if self._sessions is None:
            self._sessions = handlers.sessions.Sessions()
        return self._sessions

    @tool
    def init_session(self, **settings):
        """Begin a session and remember its settings."""
        return self.sessions.begin(self.session_id, settings)

    @tool
    def session_cleanup(self):
        """Forget the session; says how long it lasted and how often it was used."""
        return self.sessions.end(self.session_id)

    @tool
    def set_counter(self, value: int):
        """Set the session's counter."""
        return self.sessions.set_counter(self.session_id, value)

    @tool
    def get_counter(self):
        """Read the session's counter."""
        return self.sessions.get_counter(self.session_id)

    @tool
    def increment_counter(self):
        """Add one to the session's counter."""
        return self.sessions.increment_counter(self.session_id)

    @tool
    def get_worker_info(self, call_number: int = 0):
        """Say which process answers, and for which session."""
        return handlers.sessions.worker_info(self.session_id, call_number)

    # ---- streams ----

    @tool(supports_streaming=True)
    def stream_data(self, count: int = 5, delay: float = 1.0):
        """Send numbered chunks with a pause between them."""
        return handlers.streams.data(count, delay)

    @tool(supports_streaming=True)
    def ping_stream(self, count: int = 5, interval: float = 0.5):
        """Send pings: a heartbeat to watch."""
        return handlers.streams.pings(count, interval)

    @tool(supports_streaming=True)
    def stream_progress(self, steps: int = 10, delay_ms: int = 100):
        """Report the progress of a task of so many steps."""
        return handlers.streams.progress(steps, delay_ms)

    @tool(supports_streaming=True)
    def stream_fibonacci(self, count: int = 20):
        """Send the first Fibonacci numbers, exact however large."""
        return handlers.streams.fibonacci(count)

    @tool(supports_streaming=True)
    def generate_dataset(self, rows: int = 1000, chunk_size: int = 100):
        """Generate rows of sample data, chunk by chunk."""
        return handlers.streams.generate_dataset(rows, chunk_size)

    @tool(supports_streaming=True)
    def infinite_stream(self, delay_ms: int = 500):
        """Send chunks until the caller has had enough."""
        return handlers.streams.infinite(delay_ms)

    # ---- data and machine learning ----

    @tool(supports_streaming=True)
    def batch_inference(
        self,
        batch_items: list = None,
        model_path: str = None,
        images: list = None,
    ):
        """Classify texts or files one by one: language, code, or kind of file."""
        return handlers.inference.batch(batch_items, model_path, images)

    @tool(supports_streaming=True)
    def process_large_dataset(
        self, file_path: str, chunk_size: int = 1000, total_rows: int = None
    ):
        """Read a CSV file in constant memory; ends with statistics of each column."""
        return handlers.dataset.process(file_path, chunk_size, total_rows)

    @tool(supports_streaming=True)
    def tail_and_analyze(
        self,
        file_path: str,
        follow: float = 5.0,
        max_lines: int = 0,
        pattern: str = "",
        idle_timeout: float = 0,
    ):
        """Follow a growing log file for some seconds and judge each line."""
        return handlers.logs.tail(file_path, follow, max_lines, pattern, idle_timeout)

    @tool(supports_streaming=True)
    def distributed_training(self, model_config: dict = None, dataset_path: str = None):
        """Train a small neural network, epoch by epoch, and save it."""
        return handlers.training.train(model_config, dataset_path)

    # ---- concurrency ----

    @tool
    def concurrent_demo(self, task_count: int = 3):
        """Derive keys in several threads and compare with one after the other."""
        return handlers.concurrent.demo(task_count)

    @tool
    def cpu_bound_task(self, task_id: str = "task", duration_ms: int = 100):
        """Keep a processor busy for a while."""
        return handlers.concurrent.cpu_bound(task_id, duration_ms)

    @tool
    def sleep_task(self, duration_ms: int = 100, task_number: int = 0):
        """Do nothing for a while."""
        return handlers.concurrent.sleep(duration_ms, task_number)

    @tool
    def lightweight_task(self, iteration: int = 0):
        """Do next to nothing."""
        return {"iteration": iteration, "result": iteration * 2}

    # ---- the host's functions ----

    @tool
    def call_elixir_demo(self, tool_name: str, **parameters):
        """Call a function that the host offers."""
        return handlers.basic.call_host(self.session_context, tool_name, parameters)
