# SPDX-License-Identifier: MIT
"""Texts: simple changes, statistics, keywords and sentiment."""

import re
from collections import Counter

from .... import _worker

_OPERATIONS = {
    "upper": str.upper,
    "lower": str.lower,
    "title": str.title,
    "reverse": lambda text: text[::-1],
    "length": len,
    "words": lambda text: len(text.split()),
}

_WORD = re.compile(r"[^\W\d_]+(?:['’\-][^\W\d_]+)*")
_SENTENCE_END = re.compile(r"[.!?…]+(?:[\"')\]]*)(?:\s+|$)")
_VOWELS = re.compile(r"[aeiouyäöüáéíóúàèâêî]+")

# The most frequent words of English: they say little about what a text is about.
_STOP = frozenset(
    """a about after again all also am an and any are as at be because been before
    being but by can could did do does doing down each few for from further had has
    have having he her here hers him his how i if in into is it its itself just me
    more most my no nor not now of off on once only or other our out over own same
    she should so some such than that the their them then there these they this
    those through to too under until up very was we were what when where which while
    who whom why will with would you your""".split()
)

_POSITIVE = frozenset(
    """able admire adore amazing awesome beautiful best better bliss brilliant calm
    charm cheerful clean clear clever comfortable cool delight delightful easy
    efficient elegant enjoy enjoyed excellent exciting fair faithful fantastic fast
    favorite fine fresh friendly fun generous gentle glad good grateful great happy
    helpful honest hope impressive improve improved incredible inspiring interesting
    joy kind like liked love loved lovely lucky marvelous nice outstanding peace
    perfect pleasant pleased pleasure positive powerful precise pretty proud quick
    recommend reliable remarkable rich robust safe satisfied simple smart smooth
    solid splendid strong success successful superb terrific thank thanks thrilled
    useful valuable warm welcome win wonderful worth wow""".split()
)
_NEGATIVE = frozenset(
    """afraid angry annoyed annoying anxious appalling ashamed awful bad bitter
    boring broken bug cheap clumsy complain complaint confused confusing corrupt
    crash crashed cruel damage damaged danger dangerous dead delay delayed
    depressing difficult dirty disappointed disappointing disaster dislike dreadful
    dull error evil expensive fail failed failure fake fault fear frustrated
    frustrating hate hated horrible hurt ill inferior insult kill lazy leak lie lose
    losing loss lost mad mess miserable mistake nasty negative noisy pain painful
    pathetic poor problem reject rude ruin ruined sad scary shame sick slow sorry
    stupid terrible trouble ugly unfair unhappy unreliable upset useless waste weak
    weird worried worse worst wrong""".split()
)
_NEGATIONS = frozenset("no not never neither nor without hardly barely nothing".split())
_STRONG = frozenset(
    "absolutely completely extremely highly really so very totally".split()
)
_REACH = 3  # words a negation reaches over


def process(text, operation):
    if not isinstance(text, str):
        raise _worker.BadArguments(f"text must be a string, not {type(text).__name__}")
    change = _OPERATIONS.get(operation)
    if change is None:
        return {
            "original": text,
            "operation": operation,
            "error": f"unknown operation {operation!r}",
            "available_operations": list(_OPERATIONS),
            "success": False,
        }
    return {
        "original": text,
        "operation": operation,
        "result": change(text),
        "success": True,
    }


def _syllables(word):
    count = len(_VOWELS.findall(word))
    if word.endswith("e") and not word.endswith("le") and count > 1:
        count -= 1
    return max(1, count)


def _is_negation(word):
    return word in _NEGATIONS or word.endswith(("n't", "n’t"))


def sentiment(words):
    """Count words of praise and complaint; a negation turns those that follow it, a
    strong word counts its neighbour double."""
    positive, negative = [], []
    good = bad = 0.0
    for i, word in enumerate(words):
        is_good = word in _POSITIVE
        if not is_good and word not in _NEGATIVE:
            continue
        before = words[max(0, i - _REACH) : i]
        weight = 2.0 if before and before[-1] in _STRONG else 1.0
        if any(_is_negation(other) for other in before):
            is_good = not is_good
            weight *= 0.75  # "not bad" is less than "good"
        if is_good:
            good += weight
            positive.append(word)
        else:
            bad += weight
            negative.append(word)
    total = good + bad
    score = (good - bad) / total if total else 0.0
    label = "positive" if score > 0.15 else "negative" if score < -0.15 else "neutral"
    return {
        "label": label,
        "score": round(score, 4),
        # How much there was to go by: none at all is a guess.
        "confidence": round(abs(score) * total / (total + 1), 4),
        "positive_words": positive,
        "negative_words": negative,
    }


def keywords(words, count=10):
    """The most frequent words that are no stop words, with their share of the text."""
    counted = Counter(word for word in words if word not in _STOP and len(word) > 2)
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [
        {"word": word, "count": n, "frequency": round(n / len(words), 6)}
        for word, n in ranked[:count]
    ]


def analyze(text):
    if not isinstance(text, str):
        raise _worker.BadArguments(f"text must be a string, not {type(text).__name__}")
    words = [word.lower() for word in _WORD.findall(text)]
    ends = len(_SENTENCE_END.findall(text))
    trailing = _SENTENCE_END.split(text)[-1].strip() if text.strip() else ""
    sentences = ends + (1 if trailing else 0)
    syllables = sum(map(_syllables, words))
    result = {
        "characters": len(text),
        "word_count": len(words),
        "sentence_count": sentences,
        "unique_words": len(set(words)),
        "average_word_length": 0.0,
        "average_sentence_length": 0.0,
        "lexical_diversity": 0.0,
        "reading_ease": None,
        "keywords": [],
        "sentiment": sentiment(words),
        "success": True,
    }
    if words:
        per_sentence = len(words) / max(1, sentences)
        result["average_word_length"] = round(sum(map(len, words)) / len(words), 4)
        result["average_sentence_length"] = round(per_sentence, 4)
        result["lexical_diversity"] = round(len(set(words)) / len(words), 4)
        # Flesch's formula of 1948.
        ease = 206.835 - 1.015 * per_sentence - 84.6 * syllables / len(words)
        result["reading_ease"] = round(ease, 2)
        result["keywords"] = keywords(words)
    return result
