# SPDX-License-Identifier: MIT
"""Training a small neural network, for real, in plain Python.

One hidden layer of tanh units, a softmax, mini-batches, momentum. The data are a CSV
file whose last column (or the one named label, target or class) is the class, or two
interleaving half moons when there is no file. The weights are saved as JSON.
"""

import math
import os
import random
import time

from .... import _worker
from .basic import number, whole

_DEFAULTS = {
    "epochs": 20,
    "hidden": 12,
    "learning_rate": 0.1,
    "momentum": 0.9,
    "batch_size": 16,
    "validation_split": 0.25,
    "samples": 400,
    "noise": 0.15,
    "seed": 7,
    "model_path": None,
}
_LABELS = ("label", "target", "class", "y")
_ROWS_MAX = 100_000


def train(model_config, dataset_path):
    if model_config is not None and not isinstance(model_config, dict):
        raise _worker.BadArguments("model_config must be an object")
    unknown = set(model_config or ()) - set(_DEFAULTS)
    config = {**_DEFAULTS, **(model_config or {})}
    whole("epochs", config["epochs"], 1)
    whole("hidden", config["hidden"], 1)
    whole("batch_size", config["batch_size"], 1)
    number("learning_rate", config["learning_rate"])
    if not 0 < number("validation_split", config["validation_split"]) < 1:
        raise _worker.BadArguments("validation_split must lie between 0 and 1")
    source = random.Random(config["seed"])
    if dataset_path:
        rows, labels = read_csv(dataset_path)
    else:
        rows, labels = two_moons(whole("samples", config["samples"], 8), config, source)
    return _train(config, rows, labels, source, sorted(unknown))


def two_moons(count, config, source):
    """Two half circles that reach into each other."""
    rows, labels = [], []
    for i in range(count):
        angle = math.pi * source.random()
        label = i % 2
        x, y = math.cos(angle), math.sin(angle)
        if label:
            x, y = 1 - x, 0.5 - y
        noise = config["noise"]
        rows.append([x + source.gauss(0, noise), y + source.gauss(0, noise)])
        labels.append(label)
    return rows, labels


def _csv_file(path):
    path = os.path.expanduser(path)
    if os.path.isdir(path):
        names = sorted(n for n in os.listdir(path) if n.endswith(".csv"))
        if not names:
            raise FileNotFoundError(f"no .csv file in {path}")
        path = os.path.join(path, names[0])
    return path


def read_csv(path):
    """Features as numbers and labels as they are; the first line names the columns."""
    import csv

    path = _csv_file(path)
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        header = [name.strip().lower() for name in next(reader, [])]
        at = next((header.index(n) for n in _LABELS if n in header), len(header) - 1)
        rows, labels = [], []
        for line, row in enumerate(reader, 2):
            if not row:
                continue
            try:
                rows.append([float(c) for i, c in enumerate(row) if i != at])
                labels.append(row[at])
            except (ValueError, IndexError):
                raise ValueError(
                    f"{path}, line {line}: features must be numbers"
                ) from None
            if len(rows) == _ROWS_MAX:
                break
    if len(rows) < 4:
        raise ValueError(f"{path}: too few rows to train on")
    return rows, labels


def _standardised(rows):
    """Columns with mean 0 and deviation 1, and what made them so."""
    scale = []
    for column in zip(*rows):
        mean = math.fsum(column) / len(column)
        deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in column) / len(column))
        scale.append((mean, deviation or 1.0))
    return [[(v - m) / d for v, (m, d) in zip(row, scale)] for row in rows], scale


class Network:
    """inputs -> tanh -> softmax. Each row of weights ends with its bias."""

    def __init__(self, inputs, hidden, outputs, source):
        def layer(n, fan_in):
            spread = 1 / math.sqrt(fan_in)
            return [
                [source.gauss(0, spread) for _ in range(fan_in)] + [0.0]
                for _ in range(n)
            ]

        self.hidden = layer(hidden, inputs)
        self.output = layer(outputs, hidden)
        self.speed = [
            [[0.0] * len(row) for row in rows] for rows in (self.hidden, self.output)
        ]

    def forward(self, row):
        """The hidden units' values and the classes' probabilities."""
        units = [
            math.tanh(w[-1] + sum(a * b for a, b in zip(w, row))) for w in self.hidden
        ]
        scores = [w[-1] + sum(a * b for a, b in zip(w, units)) for w in self.output]
        top = max(scores)
        exponents = [math.exp(s - top) for s in scores]
        total = sum(exponents)
        return units, [e / total for e in exponents]

    def gradients(self, batch):
        """Of the mean cross entropy over (row, class) pairs, for both layers."""
        to_hidden = [[0.0] * len(row) for row in self.hidden]
        to_output = [[0.0] * len(row) for row in self.output]
        for row, target in batch:
            units, errors = self.forward(row)
            errors[target] -= 1.0
            for gradient, error in zip(to_output, errors):
                for i, unit in enumerate(units):
                    gradient[i] += error * unit
                gradient[-1] += error
            for j, unit in enumerate(units):
                back = sum(e * w[j] for e, w in zip(errors, self.output))
                back *= 1 - unit * unit
                gradient = to_hidden[j]
                for i, value in enumerate(row):
                    gradient[i] += back * value
                gradient[-1] += back
        return to_hidden, to_output

    def step(self, batch, rate, momentum):
        """One step down the slope."""
        layers = zip((self.hidden, self.output), self.gradients(batch), self.speed)
        for weights, gradients, speeds in layers:
            for w, g, v in zip(weights, gradients, speeds):
                for i, slope in enumerate(g):
                    v[i] = momentum * v[i] - rate * slope / len(batch)
                    w[i] += v[i]

    def score(self, data):
        """(mean loss, accuracy) over (row, class) pairs."""
        loss = right = 0.0
        for row, target in data:
            chances = self.forward(row)[1]
            loss -= math.log(max(chances[target], 1e-12))
            right += chances[target] == max(chances)
        return loss / len(data), right / len(data)


def _save(path, network, classes, scale, config):
    import tempfile

    if not path:
        handle, path = tempfile.mkstemp(".json", "snakepit-model-")
        os.close(handle)
    path = os.path.abspath(os.path.expanduser(path))
    model = {
        "classes": classes,
        "scale": scale,
        "hidden": network.hidden,
        "output": network.output,
        "config": config,
    }
    with open(path, "wb") as file:
        file.write(_worker.encode(model))
    return path


def _train(config, rows, labels, source, unknown):
    classes = sorted(set(labels))
    if len(classes) < 2:
        raise ValueError("the data have only one class")
    rows, scale = _standardised(rows)
    data = [(row, classes.index(label)) for row, label in zip(rows, labels)]
    source.shuffle(data)
    held_back = max(1, round(len(data) * config["validation_split"]))
    validation, training = data[:held_back], data[held_back:]
    network = Network(len(rows[0]), config["hidden"], len(classes), source)
    size, epochs = config["batch_size"], config["epochs"]
    started = time.monotonic()
    figures = {}
    for epoch in range(1, epochs + 1):
        source.shuffle(training)
        for at in range(0, len(training), size):
            network.step(
                training[at : at + size], config["learning_rate"], config["momentum"]
            )
        train_loss, train_acc = network.score(training)
        val_loss, val_acc = network.score(validation)
        figures = {
            "train_loss": round(train_loss, 6),
            "train_acc": round(train_acc, 4),
            "val_loss": round(val_loss, 6),
            "val_acc": round(val_acc, 4),
        }
        yield {
            "epoch": epoch,
            "total_epochs": epochs,
            **figures,
            "elapsed_seconds": round(time.monotonic() - started, 3),
            "is_final": False,
        }
    yield {
        "is_final": True,
        "epochs": epochs,
        **figures,
        "final_model_path": _save(
            config["model_path"], network, classes, scale, config
        ),
        "samples": len(data),
        "classes": classes,
        "ignored_settings": unknown,
        "training_seconds": round(time.monotonic() - started, 3),
    }
