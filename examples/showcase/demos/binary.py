# SPDX-License-Identifier: MIT
"""Arrays as bytes: when, how fast, and a photograph."""

import json
import statistics
import time

import snakepit

from . import ADAPTERS

TITLE = "Binary serialization: arrays and pictures as bytes"
NEEDS = ("numpy", "scipy", "sklearn", "PIL")
SIDES = (8, 32, 64, 256, 512)
REPEATS = 5


def run(stage):
    stage.say("""Numbers in an array are 8 bytes each; as JSON they are about 20
              characters that must be written and read. Arrays of more than 10,240
              bytes travel as bytes by themselves; smaller ones as JSON.""")
    with snakepit.open(adapter=str(ADAPTERS / "arrays.py"), size=1) as pit:
        threshold(stage, pit)
        compare(stage, pit)
        picture(stage, pit)


def threshold(stage, pit):
    import numpy as np

    for count in (1280, 1281):
        answer = pit.call("double", np.arange(count, dtype=np.float64))
        kind = type(answer).__name__
        stage.show(f"{count} numbers, {count * 8} bytes", f"come back as {kind}")
        wanted = list if count == 1280 else np.ndarray
        stage.check("as the threshold says", isinstance(answer, wanted))


def compare(stage, pit):
    import numpy as np

    stage.say("Square arrays given as lists, which go as JSON, and as arrays; either "
              "comes back as the worker's array. The median of "
              f"{REPEATS} calls:")
    stage.show(f"{'shape':>7}     {'bytes':>9} {'JSON size':>10} {'as lists':>10} "
               f"{'as array':>10} {'ratio':>7}")
    rng = np.random.default_rng(7)
    for side in SIDES:
        array = rng.standard_normal((side, side))
        as_list = array.tolist()
        slow, fast = (median_ms(pit, value) for value in (as_list, array))
        size = len(json.dumps(as_list))
        stage.show(f"{side:>5}x{side:<5} {array.nbytes:>9} {size:>10} "
                   f"{slow:>7.2f} ms {fast:>7.2f} ms {slow / fast:>6.1f}x")
        stage.check(f"{side}x{side} comes back exact",
                    np.array_equal(np.asarray(pit.call("double", array)), array * 2))


def median_ms(pit, value):
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        pit.call("double", value)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def picture(stage, pit):
    from sklearn.datasets import load_sample_image

    stage.say("A photograph that comes with scikit-learn: its pixels go to the worker, "
              "which finds the edges with SciPy, and a picture comes back.")
    pixels = load_sample_image("china.jpg")
    edges = pit.call("edges", pixels)
    stage.show("there", f"{pixels.shape} {pixels.dtype}, {pixels.nbytes} bytes")
    stage.show("back", f"{edges.shape} {edges.dtype}, {edges.nbytes} bytes")
    stage.check("the picture has the size of the photograph",
                edges.shape == pixels.shape[:2] and edges.dtype == pixels.dtype)
    for line in draw(edges):
        stage.show(line)


def draw(edges, columns=72, rows=18):
    """The picture in characters: the mean of each cell of a grid."""
    height, width = edges.shape
    cells = edges[: height // rows * rows, : width // columns * columns].reshape(
        rows, height // rows, columns, width // columns
    )
    means = cells.mean(axis=(1, 3))
    shades = " .:-=+*#"
    top = means.max()
    return ["".join(shades[int(v / top * 7)] for v in row).rstrip() for row in means]
