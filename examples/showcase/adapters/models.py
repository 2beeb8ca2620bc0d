# SPDX-License-Identifier: MIT
"""Models that a session trains: a classifier of digits, an embedding of texts.

Facts are variables of the session, which the host keeps; fitted models stay in this
worker's memory until the session ends.
"""

import os
import re

import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, load_sample_image
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from sklearn.svm import SVC

from snakepit_bridge import BaseAdapter, tool

CLASSIFIERS = {
    "logistic": lambda: make_pipeline(
        StandardScaler(), LogisticRegression(max_iter=500)
    ),
    "forest": lambda: RandomForestClassifier(100, random_state=1),
    "svm": lambda: SVC(gamma=0.001),
}


def digits():
    """1,797 handwritten digits, a quarter of them kept back for the test."""
    data = load_digits()
    return train_test_split(data.data, data.target, test_size=0.25, random_state=1)


def paragraphs(folder):
    """(file, text) of every paragraph that has something to say."""
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if os.path.isfile(path) and not os.path.islink(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                for text in re.split(r"\n\s*\n", file.read()):
                    text = " ".join(text.split())
                    if len(text) > 120:
                        yield name, text


class Models(BaseAdapter):
    def __init__(self):
        super().__init__()
        self.fitted = {}  # by session and name

    def on_session_end(self, session_id):
        for key in [key for key in self.fitted if key[0] == session_id]:
            del self.fitted[key]

    @tool
    def compare(self, name: str):
        """Train one kind of classifier and test it on digits it has not seen."""
        train, test, train_is, test_is = digits()
        model = CLASSIFIERS[name]().fit(train, train_is)
        return {"name": name, "accuracy": model.score(test, test_is),
                "trained": len(train), "tested": len(test)}

    @tool
    def train(self, ctx, name: str):
        """Train it for the session, which remembers which one it has."""
        train, _, train_is, _ = digits()
        model = CLASSIFIERS[name]().fit(train, train_is)
        self.fitted[ctx.session_id, "classifier"] = model
        ctx["classifier"] = name

    @tool
    def recognise(self, ctx, count: int):
        """Digits of the test, what they are and what the session's model says."""
        _, test, _, test_is = digits()
        said = self.fitted[ctx.session_id, "classifier"].predict(test[:count])
        pixels = test[:count].reshape(-1, 8, 8).astype(int)
        return {"pixels": pixels, "is": test_is[:count], "said": said,
                "model": ctx["classifier"]}

    @tool
    def embed(self, ctx, folder: str, dimensions: int):
        """Learn an embedding of the paragraphs: TF-IDF, then truncated SVD."""
        names, texts = zip(*paragraphs(folder))
        words = TfidfVectorizer(sublinear_tf=True, stop_words="english")
        counts = words.fit_transform(texts)
        shrink = make_pipeline(TruncatedSVD(dimensions, random_state=1), Normalizer())
        vectors = shrink.fit_transform(counts)
        self.fitted[ctx.session_id, "texts"] = (words, shrink, vectors, names, texts)
        ctx["paragraphs"] = len(texts)
        return {"paragraphs": len(texts), "words": counts.shape[1],
                "dimensions": vectors.shape[1],
                "explained": shrink[0].explained_variance_ratio_.sum()}

    @tool
    def nearest(self, ctx, text: str, count: int = 3):
        """The paragraphs that mean nearly the same."""
        words, shrink, vectors, names, texts = self.fitted[ctx.session_id, "texts"]
        likeness = vectors @ shrink.transform(words.transform([text]))[0]
        best = np.argsort(-likeness)[:count]
        return [{"file": names[i], "likeness": likeness[i], "text": texts[i]}
                for i in best]

    @tool
    def vectors(self, ctx):
        """All embeddings, as one array."""
        return self.fitted[ctx.session_id, "texts"][2]

    @tool
    def palette(self, colours: int):
        """Paint a photograph with few colours: k-means over its pixels, as a stream."""
        photo = load_sample_image("china.jpg") / 255.0
        pixels = photo.reshape(-1, 3)
        yield {"step": "loaded", "shape": list(photo.shape)}
        sample = np.random.default_rng(1).choice(pixels, 2000, replace=False)
        model = KMeans(colours, n_init=1, random_state=1).fit(sample)
        yield {"step": "fitted", "rounds": int(model.n_iter_)}
        painted = model.cluster_centers_[model.predict(pixels)]
        shares = np.bincount(model.labels_, minlength=colours) / len(sample)
        yield {"step": "painted", "error": float(np.abs(painted - pixels).mean()),
               "colours": [[int(v * 255) for v in c] for c in model.cluster_centers_],
               "shares": shares.tolist()}
