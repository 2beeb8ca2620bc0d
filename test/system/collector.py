# SPDX-License-Identifier: MIT
"""A collector of OTLP over HTTP: takes what comes, or answers as a test has it."""

import contextlib
import gzip
import http.server
import importlib
import sys
import threading
import time

import peers

PROTO = peers.HERE / "otlp"


def make_messages(place):
    """The module of otlp.proto, compiled into `place`."""
    done = peers.run("protoc", f"--proto_path={PROTO}", f"--python_out={place}", "otlp.proto")
    assert done.returncode == 0, done.stderr
    sys.path.insert(0, str(place))
    try:
        return importlib.import_module("otlp_pb2")
    finally:
        sys.path.remove(str(place))


def plain(attributes):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in attributes}


class Span:
    """A span as it came, with texts for numbers."""

    def __init__(self, span, resource):
        self.trace = span.trace_id.hex()
        self.id = span.span_id.hex()
        self.parent = span.parent_span_id.hex()
        self.name = span.name
        self.kind = span.Kind.Name(span.kind).removeprefix("SPAN_KIND_")
        self.begin = span.start_time_unix_nano
        self.end = span.end_time_unix_nano
        self.attributes = plain(span.attributes)
        self.failed = span.status.code == 2
        self.message = span.status.message
        self.resource = resource

    def __repr__(self):
        return f"{self.name} {self.id}<{self.parent} {self.kind} {self.attributes}"


class Collector:
    def __init__(self, messages):
        self.messages = messages
        self.changed = threading.Condition()
        self.requests = []  # (path, headers)
        self.bodies = []  # (path, bytes): what was accepted, as it came
        self.spans = []
        self.metrics = []
        self.answers = []  # (status, headers): the next ones; then 200
        self.refusal = b""  # the body of a 200: what of it was refused
        self.gate = None  # an Event: no answer before it is set

    def take(self, path, headers, body):
        """The answer to a request: status, headers, body."""
        with self.changed:
            self.requests.append((path, headers))
            status, more = self.answers.pop(0) if self.answers else (200, {})
            if status == 200:
                self.bodies.append((path, body))
                self.keep(path, body)
            answer = self.refusal if status == 200 else b""
            self.changed.notify_all()
        if self.gate is not None:
            self.gate.wait(peers.DEADLINE_S)
        return status, more, answer

    def keep(self, path, body):
        if path.endswith("metrics"):
            request = self.messages.MetricsRequest.FromString(body)
            for of_resource in request.resource_metrics:
                for scope in of_resource.scope_metrics:
                    self.metrics += scope.metrics
            return
        request = self.messages.TraceRequest.FromString(body)
        for of_resource in request.resource_spans:
            resource = plain(of_resource.resource.attributes)
            for scope in of_resource.scope_spans:
                assert scope.scope.name == "snakepit"
                self.spans += [Span(span, resource) for span in scope.spans]

    def wait(self, condition, what):
        """Until the condition holds; its value."""
        end = time.monotonic() + peers.DEADLINE_S
        with self.changed:
            while not (found := condition()):
                left = end - time.monotonic()
                assert left > 0, f"{what} never came; there are {self.spans}"
                self.changed.wait(left)
            return found

    def of_trace(self, trace, count):
        """The spans of a trace, by name, once there are so many."""
        def found():
            spans = [span for span in self.spans if span.trace == trace]
            return spans if len(spans) >= count else None

        return self.wait(found, f"{count} spans of {trace}")


@contextlib.contextmanager
def running(messages):
    """A Collector, and its address in `.address`."""
    collector = Collector(messages)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            status, more, answer = collector.take(self.path, dict(self.headers), self.body())
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def body(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_packed = self.headers["Content-Encoding"] == "gzip"
            return gzip.decompress(body) if is_packed else body

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    collector.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield collector
    finally:
        if collector.gate is not None:
            collector.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()
