# SPDX-License-Identifier: MIT
"""Streams of a Python generator: many small chunks, the first of them, chunks with
pauses between them, and what a long stream leaves in memory."""

from harness import cell

TITLES = {"product": "snakepit", "grpcio_aio": "grpcio aio", "grpcio_sync": "grpcio sync"}


def many(bench):
    bench.add("stream", "product", 1, bench.run("streams", "many", "--chunks", bench.plan.chunks))


def first(bench):
    bench.add("first", "product", 1, bench.run("streams", "first", "--times", 2000))


def sparse(bench):
    bench.add("sparse", "product", 100,
              bench.run("streams", "sparse", "--chunks", 3000, "--pause-us", 100))


PARTS = [many, first, sparse]


def once(bench):
    bench.add("memory", "product", 1,
              bench.run("streams", "many", "--chunks", bench.plan.long_chunks))


def table(bench):
    print("\nStreams of small chunks: chunks/s")
    for name, title in TITLES.items():
        rate = bench.median("stream", name, 1, "rate")
        if rate is not None:
            print(f"  {title:12}{cell(rate, 12)}")
    call, chunk = (bench.median("first", "product", 1, key)
                   for key in ("call_p50_us", "chunk_p50_us"))
    print(f"  first chunk after {chunk:,.1f} us, a call answered after {call:,.1f} us (p50)")
    print(f"  a chunk after a pause of 100 us is taken "
          f"{bench.median('sparse', 'product', 100, 'p50_us'):,.1f} us after it was made "
          f"(p50), {bench.median('sparse', 'product', 100, 'rate'):,.0f} chunks/s")
    for memory in bench.samples.get(("memory", "product", 1), []):
        print(f"  {memory['chunks']:,} chunks: resident KiB before and after: host "
              f"{memory['host_rss_before'] // 1024:,} {memory['host_rss_after'] // 1024:,}"
              f", worker {memory['worker_rss_before'] // 1024:,} "
              f"{memory['worker_rss_after'] // 1024:,}")
