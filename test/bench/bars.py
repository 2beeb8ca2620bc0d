# SPDX-License-Identifier: MIT
"""What the figures of one run are held against: ratios to floors and peers, and bars.

A bar has the kind of figure, what it must be and which way. Absolute ones were set on two
processors of a virtual machine; on others look at the ratios.
"""

import callers
import languages
import paces
import payloads
import watching
from harness import ratio

MIB = 1 << 20


def _calls(bench, name, k, key="rate"):
    return bench.median("calls", name, k, key)


def _peers(bench):
    mine = _calls(bench, "product", 64)
    found = {f"rate_64_vs_{peer}": ratio(mine, _calls(bench, peer, 64))
             for peer in ("grpcio_aio", "grpcio_sync", "raw", "node_ipc", "piscina", "pool",
                          "executor", "uwsgi", "gunicorn")}
    found["rate_64_worker_vs_grpcio_aio"] = ratio(
        _calls(bench, "listen", 64), _calls(bench, "grpcio_aio", 64))
    found["p50_1_vs_grpcio_sync"] = ratio(
        _calls(bench, "product", 1, "p50_us"), _calls(bench, "grpcio_sync", 1, "p50_us"))
    return found


def _latency(bench):
    pingpong = bench.median("floor", "pingpong", 1, "p50_us")
    return {
        "p50_1_vs_pingpong": ratio(_calls(bench, "product", 1, "p50_us"), pingpong),
        "p50_1_execute_vs_pingpong": ratio(
            bench.median("execute", "product", 1, "p50_us"), pingpong),
        "paced_p99_vs_p50": paces.p99_vs_p50(bench, "product", 1),
        "paced_p99_vs_p50_unstolen": paces.p99_vs_p50(bench, "product", 1,
                                                      unstolen=True),
        "paced_2_p99_vs_p50": paces.p99_vs_p50(bench, "product", 2),
        "paced_floor_p99_vs_p50": paces.p99_vs_p50(bench, "floor", 1),
    }


def _streams(bench):
    mine = bench.median("stream", "product", 1, "rate")
    return {
        "stream_vs_grpcio_aio": ratio(
            mine, bench.median("stream", "grpcio_aio", 1, "rate")),
        "stream_vs_grpcio_sync": ratio(
            mine, bench.median("stream", "grpcio_sync", 1, "rate")),
        "first_chunk_vs_call": ratio(bench.median("first", "product", 1, "chunk_p50_us"),
                                     bench.median("first", "product", 1, "call_p50_us")),
    }


def _starts(bench):
    """Beside bare interpreters, and beside those that find their packages, as workers
    must."""
    pairs = (("", "product", "floor"), ("_zygote_numpy", "zygote_numpy", "floor"),
             ("", "product", "interpreter"))
    return {f"start_{n}{word}_vs_{base}":
            ratio(bench.median("start", name, n, "ready_ms"),
                  bench.median("start", base, n, "ms"))
            for n in (1, 16, 100, 250) for word, name, base in pairs}


def _forked(bench, key, share=1):
    value = bench.median("start", "zygote_numpy", 250, key)
    return None if value is None else value / share


def ratios(bench):
    found = {**_peers(bench), **_latency(bench), **_streams(bench), **_starts(bench),
             **payloads.ratios(bench), **languages.ratios(bench),
             **callers.ratios(bench), **watching.shares(bench)}
    return {name: value for name, value in found.items() if value is not None}


# ---- bars ----


def _flat(bench):
    """What ten million chunks leave, in the process that has grown most."""
    memory = bench.samples.get(("memory", "product", 1))
    if memory is None:
        return None
    return max(memory[0][f"{side}_rss_after"] - memory[0][f"{side}_rss_before"]
               for side in ("host", "worker"))


def _late_growth(bench):
    """What the second half of ten million calls adds to the heap: the first half may
    still be finding its size."""
    measured = bench.samples.get(("weight", "long", bench.plan.long_calls))
    if measured is None:
        return None
    heap = measured[0]["heap"]
    return heap[-1] - heap[len(heap) // 2]


def _weight(bench, name):
    numbers = [at for group, found, at in bench.samples if (group, found) == ("weight", name)]
    return bench.median("weight", name, numbers[0], "heap_each") if numbers else None


def _figures(bench):
    return {
        "calls/s at 64 in flight": _calls(bench, "product", 64),
        "calls/s of sp_execute on 64 threads": bench.median("execute", "product", 64, "rate"),
        "calls/s, 16 workers, 64 in flight": _calls(bench, "product_16", 64),
        "p99 of these in us": _calls(bench, "product_16", 64, "p99_us"),
        "calls/s, 100 workers, 100 in flight": _calls(bench, "product_100", 100),
        "chunks/s": bench.median("stream", "product", 1, "rate"),
        "resident growth over the long stream": _flat(bench),
        "ms to 250 forked workers with NumPy": _forked(bench, "ready_ms"),
        "PSS of one of these": _forked(bench, "workers_pss", 250),
        "heap bytes of an idle worker": _weight(bench, "idle"),
        "heap bytes of a call that waits": _weight(bench, "queue"),
        "heap growth, second half of the long run": _late_growth(bench),
    }


BARS = (
    ("rate_64_vs_grpcio_aio", "at least", 25),
    ("rate_64_vs_node_ipc", "at least", 1),
    ("rate_64_vs_raw", "at least", 1),
    ("calls/s of sp_execute on 64 threads", "at least", 150_000),
    ("calls/s at 64 in flight", "stretch", 600_000),
    ("p50_1_vs_pingpong", "at most", 1.2),
    ("paced_p99_vs_p50", "at most", paces.BAR),
    ("chunks/s", "at least", 2_000_000),
    ("first_chunk_vs_call", "at most", 1.3),
    ("resident growth over the long stream", "at most", MIB),
    ("start_100_vs_floor", "at most", 1.5),
    ("start_100_vs_interpreter", "at most", 1.5),
    ("ms to 250 forked workers with NumPy", "at most", 1000),
    ("PSS of one of these", "at most", 6 * MIB),
    ("heap bytes of an idle worker", "at most", 64 * 1024),
    ("heap bytes of a call that waits", "at most", 1024),
    ("heap growth, second half of the long run", "at most", 64 * 1024),
    ("calls/s, 16 workers, 64 in flight", "at least", 200_000),
    ("p99 of these in us", "at most", 1200),
    ("calls/s, 100 workers, 100 in flight", "at least", 50_000),
    ("on_vs_off", "at least", 0.95),
    ("node_rate_64_vs_grpc_js", "at least", 5),
    ("ruby_rate_64_vs_ruby_grpc", "at least", 5),
)


def _judge(value, way, bar):
    if value is None:
        return "not measured"
    is_met = value <= bar if way == "at most" else value >= bar
    if is_met:
        return "met"
    part = value / bar - 1 if way == "at most" else 1 - value / bar
    return f"missed by {part:.0%}"


def judged(bench, found):
    """A row for each bar: what, value, which way, bar, verdict."""
    figures = {**_figures(bench), **found}
    return [{"what": what, "value": figures.get(what), "way": way, "bar": bar,
             "verdict": _judge(figures.get(what), way, bar)} for what, way, bar in BARS]


def table(found, rows):
    if found:
        print("\nRatios")
    for name, value in found.items():
        print(f"  {name:38}{value:>10,.2f}")
    rows = [row for row in rows if row["value"] is not None]
    if rows:
        print("\nBars")
    for row in rows:
        digits = 2 if row["bar"] < 100 else 0
        print(f"  {row['what']:42}{row['value']:>14,.{digits}f}   {row['way']:8} "
              f"{row['bar']:>11,.{digits}f}   {row['verdict']}")
