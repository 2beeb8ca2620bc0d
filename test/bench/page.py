# SPDX-License-Identifier: MIT
"""Results as one HTML page that needs nothing else: plots in SVG, ratios and bars.

    page.py RESULTS.json PAGE.html

Every plot has a logarithmic scale, and next to it stands the table it was drawn from.
"""

import html
import json
import math
import sys
from pathlib import Path

COLOURS = ("#1a6fb0", "#c4501b", "#2e8b57", "#8a4fa0", "#b8860b", "#555555", "#d1477a",
           "#008b8b", "#7a5c3e")  # fmt: skip
WIDTH, HEIGHT, LEFT, TOP = 460, 260, 70, 14

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto;
       padding: 0 1rem; color: #222; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; }
td, th { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #ddd; }
td:first-child, th:first-child { text-align: left; }
figure { display: flex; flex-wrap: wrap; gap: 1.5rem; margin: 0; align-items: flex-start; }
svg text { font: 11px system-ui, sans-serif; fill: #444; }
.note { color: #666; font-size: 13px; }
@media (prefers-color-scheme: dark) {
  body { color: #ddd; background: #181818; } td, th { border-color: #444; }
  svg text { fill: #bbb; } .note { color: #999; }
}
"""


def number(value):
    if value is None:
        return ""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if value >= 10 else f"{value:,.2f}"


def scale(low, high, length):
    """Values to pixels, on a logarithmic scale that begins and ends at powers of ten."""
    first = math.floor(math.log10(low))
    last = max(math.ceil(math.log10(high)), first + 1)
    ticks = [10.0**power for power in range(first, last + 1)]
    return (lambda v: (math.log10(v) - first) / (last - first) * length), ticks


def plot(lines, title):
    """lines: name -> [(x, y)]; both axes logarithmic, x labelled where it has a value."""
    xs = sorted({x for points in lines.values() for x, _ in points})
    ys = [y for points in lines.values() for _, y in points if y > 0]
    if not xs or not ys:
        return ""
    to_y, ticks = scale(min(ys), max(ys), HEIGHT)
    low, high = math.log(xs[0]), math.log(xs[-1])

    def at_x(x):
        return LEFT + (math.log(x) - low) / ((high - low) or 1) * WIDTH

    def at_y(y):
        return TOP + HEIGHT - to_y(y)

    parts = [f'<svg role="img" aria-label="{html.escape(title)}" '
             f'width="{LEFT + WIDTH + 20}" height="{TOP + HEIGHT + 30}">']  # fmt: skip
    for tick in ticks:
        parts.append(f'<line x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{at_y(tick):.1f}" '
                     f'y2="{at_y(tick):.1f}" stroke="#8884"/>'
                     f'<text x="{LEFT - 8}" y="{at_y(tick) + 4:.1f}" text-anchor="end">'
                     f"{tick:,g}</text>")  # fmt: skip
    for x in xs:
        parts.append(f'<text x="{at_x(x):.1f}" y="{TOP + HEIGHT + 18}" '
                     f'text-anchor="middle">{x:,}</text>')  # fmt: skip
    for (name, points), colour in zip(lines.items(), COLOURS * 9):
        path = " ".join(f"{at_x(x):.1f},{at_y(y):.1f}" for x, y in sorted(points) if y > 0)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" '
                     f'stroke-width="2"><title>{html.escape(name)}</title></polyline>')
        for x, y in points:
            if y > 0:
                parts.append(f'<circle cx="{at_x(x):.1f}" cy="{at_y(y):.1f}" r="3" '
                             f'fill="{colour}"><title>{html.escape(name)}, {x:,}: '
                             f"{number(y)}</title></circle>")  # fmt: skip
    parts.append("</svg>")
    return "".join(parts)


def table(lines, first):
    xs = sorted({x for points in lines.values() for x, _ in points})
    rows = [f"<tr><th>{html.escape(first)}</th>" + "".join(f"<th>{x:,}</th>" for x in xs)
            + "</tr>"]  # fmt: skip
    for (name, points), colour in zip(lines.items(), COLOURS * 9):
        found = dict(points)
        cells = "".join(f"<td>{number(found.get(x))}</td>" for x in xs)
        rows.append(f'<tr><td><span style="color:{colour}">&#9679;</span> '
                    f"{html.escape(name)}</td>{cells}</tr>")  # fmt: skip
    return f"<table>{''.join(rows)}</table>"


def section(title, note, lines, first):
    lines = {name: points for name, points in lines.items() if points}
    if not lines:
        return ""
    return (f"<h2>{html.escape(title)}</h2><p class=note>{html.escape(note)}</p><figure>"
            f"{plot(lines, title)}{table(lines, first)}</figure>")  # fmt: skip


def lines_of(medians, group, key, titles):
    """name -> [(at, value)] of a group whose `at` are numbers."""
    return {
        titles.get(name, name): [(int(at), entry[key]) for at, entry in places.items()
                                 if entry.get(key) is not None]
        for name, places in medians.get(group, {}).items()
    }  # fmt: skip


def plain_table(heads, rows):
    parts = ["<tr>" + "".join(f"<th>{html.escape(head)}</th>" for head in heads) + "</tr>"]
    for row in rows:
        cells = (number(v) if isinstance(v, (int, float)) else html.escape(v or "") for v in row)
        parts.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return f"<table>{''.join(parts)}</table>"


def bars_table(results):
    rows = [(row["what"], row["value"], row["way"], row["bar"], row["verdict"])
            for row in results["bars"] if row["value"] is not None]
    if not rows:
        return ""
    return "<h2>Bars</h2>" + plain_table(("", "measured", "", "bar", ""), rows)


def ratios_table(results):
    if not results["ratios"]:
        return ""
    return "<h2>Ratios</h2>" + plain_table(("", "ratio"), results["ratios"].items())


def flat_section(medians, title, groups, keys):
    """A table of what is measured at one number only: its name, and some of its keys."""
    rows = [(f"{group}, {name}", *(entry.get(key) for key in keys))
            for group in groups for name, places in medians.get(group, {}).items()
            for entry in places.values()]
    rows = [row for row in rows if any(value is not None for value in row[1:])]
    if not rows:
        return ""
    return f"<h2>{html.escape(title)}</h2>" + plain_table(("", *keys), rows)


def start_lines(medians):
    start = medians.get("start", {})
    return {
        "all workers ready": [(int(n), e["ready_ms"])
                              for n, e in start.get("product", {}).items()],
        "all forked by a zygote with NumPy": [
            (int(n), e["ready_ms"]) for n, e in start.get("zygote_numpy", {}).items()],
        "bare interpreters": [(int(n), e["ms"]) for n, e in start.get("floor", {}).items()],
    }  # fmt: skip


def long_lines(results):
    """The samples of the long run: bytes by calls."""
    for sample in results["samples"]:
        if (sample["group"], sample["name"]) == ("weight", "long"):
            line = sample["measured"][0]
            step = line["calls"] / (len(line["heap"]) - 1)
            return {key: [(int(step * (i + 1)), value) for i, value in enumerate(line[key])]
                    for key in ("heap", "resident", "worker")}  # fmt: skip
    return {}


def array_lines(medians, key):
    lines = lines_of(medians, "arrays", key, {"tensor": "socket", "shared": "shared memory",
                                              "json": "JSON lists", "grpcio": "grpcio"})
    lines.update(lines_of(medians, "carry", "median_us", {"copy": "memcpy",
                                                          "carry": "bare socket"}))
    return lines  # fmt: skip


def sections(results):
    medians, titles = results["medians"], results["titles"]
    for title, key in (("Calls a second", "rate"), ("Latency, median", "p50_us"),
                       ("Latency, 99 of 100", "p99_us"),
                       ("Latency, 999 of 1,000", "p999_us")):  # fmt: skip
        unit = "calls/s" if key == "rate" else "µs"
        yield section(title, "`add`, by calls in flight",
                      lines_of(medians, "calls", key, titles), unit)
    yield section("sp_execute", "calls a second, by threads that call",
                  lines_of(medians, "execute", "rate", titles), "calls/s")
    yield flat_section(medians, "On a schedule, half of the capacity", ("paced",),
                       ("rate", "p50_us", "p90_us", "p99_us", "p999_us"))
    yield flat_section(medians, "Watched", ("watched",), ("rate", "of_off", "cpu_us"))
    yield flat_section(medians, "Streams", ("stream", "first", "sparse"),
                       ("rate", "chunk_p50_us", "call_p50_us", "p50_us", "p99_us"))
    yield section("Start", "milliseconds until all are ready, by workers",
                  start_lines(medians), "ms")
    yield section("Arrays to a tool", "microseconds, by bytes",
                  array_lines(medians, "take_median_us"), "µs")
    yield section("Arrays from a tool", "microseconds, by bytes",
                  array_lines(medians, "give_median_us"), "µs")
    yield flat_section(medians, "Sessions", ("sessions", "store"),
                       ("per_second", "per_processor_second"))
    yield flat_section(medians, "The host's memory, bytes for one", ("weight",),
                       ("heap_each", "resident_each"))
    yield section("Memory over a long run", "bytes, by calls", long_lines(results), "bytes")


def page(results):
    facts = results["machine"]
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width'><title>snakepit: speed</title>",
        f"<style>{STYLE}</style><h1>snakepit: speed</h1>",
        f"<p class=note>{facts['processors']} x {html.escape(facts['model'])}, Linux "
        f"{html.escape(facts['kernel'])}, Python {html.escape(facts['python'])}, grpcio "
        f"{html.escape(facts['grpcio'])}. {results['date']}, medians of "
        f"{results['plan']['repetitions']} repetitions; load "
        f"{results['load_before'][0]:.2f} before.</p>",
        bars_table(results),
        ratios_table(results),
        *sections(results),
        "</html>\n",
    ]
    return "".join(parts)


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:3])
    target.write_text(page(json.loads(source.read_text(encoding="utf-8"))), encoding="utf-8")
