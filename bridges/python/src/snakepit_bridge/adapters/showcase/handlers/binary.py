# SPDX-License-Identifier: MIT
"""Bytes, tensors and embeddings."""

import math
import time

from .... import _worker
from .basic import whole

_THRESHOLD = 10_240  # bytes from which numbers are better sent raw


def raw_bytes(data):
    """Bytes as they came, or from base64 text, or from a list of numbers."""
    if isinstance(data, (bytes, bytearray)):
        return bytes(data)
    if isinstance(data, str):
        import base64
        import binascii

        try:
            return base64.b64decode(data, validate=True)
        except binascii.Error as failure:
            raise _worker.BadArguments(f"data is not base64: {failure}") from None
    if isinstance(data, list):
        try:
            return bytes(data)
        except (TypeError, ValueError) as failure:
            raise _worker.BadArguments(f"data is no list of bytes: {failure}") from None
    raise _worker.BadArguments(
        f"data must be bytes, base64 text or a list, not {type(data).__name__}"
    )


def entropy(data):
    """Shannon's, in bits per byte."""
    if not data:
        return 0.0
    size = len(data)
    counts = [data.count(value) for value in set(data)]
    return -sum(n / size * math.log2(n / size) for n in counts) + 0.0


def process(data, operation):
    data = raw_bytes(data)
    result = {"operation": operation, "size": len(data), "success": True}
    if operation == "checksum":
        import hashlib
        import zlib

        result["sha256"] = hashlib.sha256(data).hexdigest()
        result["crc32"] = f"{zlib.crc32(data):08x}"
        result["entropy"] = round(entropy(data), 6)
    elif operation == "entropy":
        result["entropy"] = round(entropy(data), 6)
    elif operation == "histogram":
        result["histogram"] = {str(v): data.count(v) for v in sorted(set(data))}
    elif operation == "info":
        from .inference import signature

        result["kind"] = signature(data) or "unknown"
        result["head"] = data[:16].hex(" ")
        result["distinct_bytes"] = len(set(data))
    else:
        result.update(
            success=False,
            error=f"unknown operation {operation!r}",
            available_operations=["checksum", "entropy", "histogram", "info"],
        )
    return result


def create_tensor(name, shape, size_bytes):
    import random
    from array import array

    if not isinstance(shape, list) or not shape:
        raise _worker.BadArguments("shape must be a list of whole numbers")
    elements = 1
    for extent in shape:
        elements *= whole("shape", extent, 1)
    if elements > 10_000_000:
        raise _worker.BadArguments(f"{elements} elements are beyond 10 million")
    source = random.Random(name)
    values = array("d", (source.gauss(0.0, 1.0) for _ in range(elements)))
    size = size_bytes or len(values) * values.itemsize
    mean = math.fsum(values) / elements
    return {
        "name": name,
        "shape": shape,
        "size_bytes": size,
        "encoding": "binary" if size > _THRESHOLD else "json",
        "elements": elements,
        "mean": mean,
        "std": math.sqrt(math.fsum((v - mean) ** 2 for v in values) / elements),
    }


def embed(text, dimensions):
    """A unit vector: each character trigram adds or subtracts one at a place given by
    its hash, so similar texts have similar vectors."""
    import zlib

    vector = [0.0] * dimensions
    padded = f"  {text.lower()}  "
    for i in range(len(padded) - 2):
        code = zlib.crc32(padded[i : i + 3].encode("utf-8", "surrogatepass"))
        vector[code % dimensions] += 1.0 if code & 0x8000_0000 else -1.0
    norm = math.sqrt(math.fsum(v * v for v in vector))
    return [v / norm for v in vector] if norm else vector


def create_embedding(text, dimensions):
    dimensions = whole("dimensions", dimensions, 1)
    vector = embed(text, dimensions)
    size = dimensions * 8
    return {
        "text": text,
        "dimensions": dimensions,
        "encoding": "binary" if size > _THRESHOLD else "json",
        "size_bytes": size,
        "norm": math.sqrt(math.fsum(v * v for v in vector)),
        "embedding": vector,
    }


def _best_ms(work, rounds=3):
    best = math.inf
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best * 1000


def benchmark_encoding(start_kb, end_kb, step_kb):
    import random
    from array import array

    results = []
    for size_kb in range(
        whole("start_kb", start_kb, 1),
        min(whole("end_kb", end_kb, 1), 10_000) + 1,
        whole("step_kb", step_kb, 1),
    ):
        values = array("d", (random.random() for _ in range(size_kb * 128)))
        as_list = values.tolist()
        json_ms = _best_ms(lambda: _worker.decode(_worker.encode(as_list)))
        binary_ms = _best_ms(lambda: array("d").frombytes(values.tobytes()))
        results.append(
            {
                "size_kb": size_kb,
                "encoding": "binary" if size_kb * 1024 > _THRESHOLD else "json",
                "json_time_ms": json_ms,
                "binary_time_ms": binary_ms,
                "speedup": json_ms / binary_ms if binary_ms else None,
            }
        )
    return {"results": results}
