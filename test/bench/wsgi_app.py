# SPDX-License-Identifier: MIT
"""`add` behind a web server: the arguments are the body's JSON, so is the answer."""

import json


def add(a, b):
    return {"result": a + b}


def application(environ, start_response):
    size = int(environ.get("CONTENT_LENGTH") or 0)
    answer = json.dumps(add(**json.loads(environ["wsgi.input"].read(size)))).encode()
    start_response("200 OK", [("Content-Type", "application/json"),
                              ("Content-Length", str(len(answer)))])  # fmt: skip
    return [answer]
