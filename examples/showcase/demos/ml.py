# SPDX-License-Identifier: MIT
"""Machine learning: models in workers, facts with the session."""

import snakepit

from . import ADAPTERS, LICENSES

TITLE = "ML workflows: classifiers, text embeddings, a picture"
NEEDS = ("numpy", "scipy", "sklearn", "PIL")
DIMENSIONS = 64


def run(stage):
    stage.say("""The adapter is a class around scikit-learn. Importing that takes a
              second or two; it is done once for each worker, not for each call.""")
    with snakepit.open(
        adapter=str(ADAPTERS / "models.py"), size=2, affinity="strict_queue"
    ) as pit:
        with pit.session("study") as study:
            best = compare(stage, pit)
            recognise(stage, study, best)
            embed(stage, study)
            paint(stage, study)
            stage.say("What a session knows is with the host, for every program:")
            stage.show("variables", {name: study[name] for name in sorted(study)})


def compare(stage, pit):
    stage.say("1,797 handwritten digits of 8 x 8 pixels. Three kinds of classifiers "
              "are trained at the same time and tested on what they have not seen.")
    kinds = [{"name": name} for name in ("logistic", "forest", "svm")]
    results = pit.call_many("compare", kinds, timeout=300)
    for result in results:
        stage.bar(result["name"], result["accuracy"], f"{result['accuracy']:.3f}")
    best = max(results, key=lambda result: result["accuracy"])
    stage.show("trained and tested with",
               f"{best['trained']} and {best['tested']} digits")
    stage.check(f"{best['name']} is right in more than 95 of 100",
                best["accuracy"] > 0.95)
    return best["name"]


def recognise(stage, study, name):
    stage.say(f"The session trains the best one, {name}, and asks it.")
    study.call("train", name=name, timeout=300)
    answer = study.call("recognise", count=8)
    shades = " .:-=+*#"
    for row in range(8):
        stage.show(" ".join("".join(shades[min(v // 2, 7)] for v in digit[row])
                            for digit in answer["pixels"]))
    stage.show("it is  ", "        ".join(map(str, answer["is"])))
    stage.show("it says", "        ".join(map(str, answer["said"])))
    right = sum(a == b for a, b in zip(answer["is"], answer["said"]))
    stage.check(f"{right} of 8 are right", right >= 7)


def embed(stage, study):
    stage.say("Texts: the paragraphs of the licences become vectors, by TF-IDF and a "
              f"singular value decomposition to {DIMENSIONS} dimensions.")
    facts = study.call("embed", folder=LICENSES, dimensions=DIMENSIONS, timeout=300)
    stage.show("learnt", f"{facts['paragraphs']} paragraphs, {facts['words']} words, "
               f"{facts['explained'] * 100:.0f} % of the variance")
    question = "the software comes without any warranty, damages are not covered"
    stage.show("asked for", question)
    found = study.call("nearest", text=question)
    for hit in found:
        stage.show(f"{hit['likeness']:.2f} {hit['file']}", hit["text"])
    stage.check("the nearest one is about warranty or liability",
                any(word in found[0]["text"].lower() for word in ("warrant", "liab")))
    vectors = study.call("vectors")
    stage.check(f"all vectors came as an array of {vectors.shape}, "
                f"{vectors.nbytes} bytes",
                vectors.shape == (facts["paragraphs"], DIMENSIONS))


def paint(stage, study):
    stage.say("A picture: k-means finds the eight colours that a photograph needs most "
              "and streams how far it is.")
    last = None
    for last in study.stream("palette", colours=8):
        stage.show(last["step"], {k: v for k, v in last.items()
                                  if k not in ("step", "colours", "shares")})
    colours = zip(last["colours"], last["shares"])
    for colour, share in sorted(colours, key=lambda pair: -pair[1]):
        stage.bar("#%02x%02x%02x" % tuple(colour), share, f"{share * 100:.0f} %")
    stage.check(f"the mean error is {last['error']:.3f} of the range",
                last["error"] < 0.1)
