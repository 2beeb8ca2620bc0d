# SPDX-License-Identifier: MIT
"""A small classifier: nearest centroid over character trigrams, trained on the spot.

Texts are told apart by language (and code); items that are paths of existing files are
read, and told apart by their signature or, when they hold text, by that.
"""

import math
import os

from .... import _worker

# A few sentences per class are enough for trigrams to know a language.
_SAMPLES = {
    "english": """The quick brown fox jumps over the lazy dog. There is nothing in the
        world that we could not learn with time and patience. What would you have done
        when the weather was this bad? They have been waiting for the others since the
        morning, and nobody knows which of them will come.""",
    "german": """Der schnelle braune Fuchs springt über den faulen Hund. Es gibt nichts
        auf der Welt, was wir nicht mit Zeit und Geduld lernen könnten. Was hättest du
        gemacht, wenn das Wetter so schlecht gewesen wäre? Sie haben seit dem Morgen auf
        die anderen gewartet, und keiner weiß, wer von ihnen kommen wird.""",
    "french": """Le rapide renard brun saute par-dessus le chien paresseux. Il n'y a
        rien au monde que nous ne puissions apprendre avec du temps et de la patience.
        Qu'aurais-tu fait si le temps avait été aussi mauvais ? Ils attendent les autres
        depuis ce matin, et personne ne sait lequel d'entre eux viendra.""",
    "spanish": """El rápido zorro marrón salta sobre el perro perezoso. No hay nada en
        el mundo que no podamos aprender con tiempo y paciencia. ¿Qué habrías hecho si
        el tiempo hubiera sido tan malo? Han estado esperando a los demás desde la
        mañana, y nadie sabe cuál de ellos vendrá.""",
    "italian": """La rapida volpe marrone salta sopra il cane pigro. Non c'è niente al
        mondo che non possiamo imparare con il tempo e la pazienza. Che cosa avresti
        fatto se il tempo fosse stato così brutto? Aspettano gli altri da questa
        mattina, e nessuno sa chi di loro verrà.""",
    "code": """def main(argv): for i in range(len(items)): if x == None: return
        self.value import os, sys; print(f"{name}: {count}") while (i < n) { array[i++]
        = 0; } const result = await fetch(url); #include <stdio.h> int main(void) {
        return 0; } SELECT id, name FROM users WHERE id = 1; class Foo(Base): pass""",
}
_DEFAULT_ITEMS = [
    "The results arrive one by one",
    "Die Ergebnisse kommen nacheinander an",
    "for item in items: print(item)",
]
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "png image"),
    (b"\xff\xd8\xff", "jpeg image"),
    (b"GIF8", "gif image"),
    (b"BM", "bmp image"),
    (b"II*\0", "tiff image"),
    (b"MM\0*", "tiff image"),
    (b"%PDF-", "pdf document"),
    (b"PK\x03\x04", "zip archive"),
    (b"\x1f\x8b", "gzip data"),
    (b"\x7fELF", "elf program"),
    (b"SQLite format 3\0", "sqlite database"),
    (b"\xfd7zXZ\0", "xz data"),
    (b"\x28\xb5\x2f\xfd", "zstd data"),
)
_HEAD_BYTES = 64 * 1024


def signature(data):
    """The kind of file its first bytes announce, or None."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp image"
    for start, kind in _SIGNATURES:
        if data.startswith(start):
            return kind
    return None


def trigrams(text):
    """How often each run of three characters occurs, as a vector of length one."""
    text = f"  {' '.join(text.lower().split())}  "
    counts = {}
    for i in range(len(text) - 2):
        gram = text[i : i + 3]
        counts[gram] = counts.get(gram, 0) + 1
    norm = math.sqrt(sum(n * n for n in counts.values()))
    return {gram: n / norm for gram, n in counts.items()}


class Classifier:
    """Nearest centroid by cosine similarity."""

    def __init__(self, samples):
        self.centroids = {label: trigrams(text) for label, text in samples.items()}

    def predict(self, text):
        """(label, confidence between 0 and 1)."""
        vector = trigrams(text)
        scores = {
            label: sum(
                weight * centroid.get(gram, 0.0) for gram, weight in vector.items()
            )
            for label, centroid in self.centroids.items()
        }
        best = max(scores, key=scores.get)
        # A softmax, sharpened: cosines of short texts lie close together.
        exponents = {
            label: math.exp(20 * (s - scores[best])) for label, s in scores.items()
        }
        return best, 1 / sum(exponents.values())


def _load(model_path):
    """Classes of the caller's own: a JSON file {"classes": {label: [texts]}}."""
    with open(os.path.expanduser(model_path), "rb") as file:
        model = _worker.decode(file.read())
    classes = model.get("classes") if isinstance(model, dict) else None
    if not isinstance(classes, dict) or not classes:
        raise _worker.BadArguments(f'{model_path} has no "classes"')
    return Classifier({label: " ".join(texts) for label, texts in classes.items()})


def _judge_file(classifier, path):
    with open(path, "rb") as file:
        head = file.read(_HEAD_BYTES)
    kind = signature(head)
    if kind is not None:
        return kind, 1.0
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError:
        return "binary data", 1.0
    return classifier.predict(text)


def batch(batch_items, model_path, images):
    key = "image" if images and not batch_items else "item"
    items = batch_items or images or _DEFAULT_ITEMS
    if not isinstance(items, list):
        raise _worker.BadArguments(
            f"batch_items must be a list, not {type(items).__name__}"
        )
    # Pickles are never loaded: they can run anything.
    own = bool(model_path) and model_path.endswith(".json")
    classifier = _load(model_path) if own else Classifier(_SAMPLES)
    return _batch(items, classifier, key, model_path if own else "built-in")


def _batch(items, classifier, key, model):
    for index, item in enumerate(items):
        text = item if isinstance(item, str) else _worker.encode(item).decode("utf-8")
        is_file = isinstance(item, str) and len(item) < 4096 and os.path.isfile(item)
        label, confidence = (
            _judge_file(classifier, item) if is_file else classifier.predict(text)
        )
        chunk = {
            "item": item,
            "prediction": label,
            "confidence": round(confidence, 4),
            "index": index,
            "read_file": is_file,
            "is_final": False,
        }
        if key == "image":
            chunk["image"] = item
        yield chunk
    yield {"is_final": True, "total_processed": len(items), "model": model}
