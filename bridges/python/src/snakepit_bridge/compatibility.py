# SPDX-License-Identifier: MIT
"""Which libraries may be used on several threads at once, as far as is known.

The table is advice for ``profile: thread``; with ``profile: process`` every worker is a
process of its own and any library will do. ``is_thread_safe`` speaks of separate objects on
separate threads; one object that several threads change needs a lock with any library.
"""

import importlib.util
import sys


class Library:
    """What is known of one library."""

    __slots__ = ("name", "is_thread_safe", "since", "releases_gil", "note")

    def __init__(self, name, is_thread_safe, since=None, releases_gil=False, note=""):
        self.name = name
        self.is_thread_safe = is_thread_safe
        self.since = since  # the first version this is known of, or None
        self.releases_gil = releases_gil
        self.note = note  # what makes it safe, or safer


_TABLE = {
    library.name: library
    for library in (
        Library("numpy", True, "1.20.0", True),
        Library("scipy", True, "1.7.0", True),
        Library("torch", True, "2.0.0", True,
                "torch.set_num_threads(1) in each worker, or threads multiply"),
        Library("tensorflow", True, "2.10.0", True,
                "limit its own threads with tf.config.threading"),
        Library("polars", True, "0.16.0", True),
        Library("plotly", True, "5.0.0", True),
        Library("psycopg2", True, "2.9.0", True, "a connection may be shared, a cursor not"),
        Library("requests", True, "2.25.0", True, "a Session for each thread"),
        Library("httpx", True, "0.23.0", True),
        Library("scikit-learn", True, "1.0.0", True, "n_jobs=1, or threads multiply"),
        Library("xgboost", True, "1.6.0", True, "nthread=1"),
        Library("lightgbm", True, "3.3.0", True, "num_threads=1"),
        Library("transformers", True, "4.20.0", True, "a tokenizer for each thread"),
        Library("spacy", True, "3.4.0", True, "an nlp object for each thread"),
        Library("sqlalchemy", True, "1.4.0", True, "a Session for each thread"),
        Library("pillow", True, "9.0.0", True),
        Library("pandas", False, None, False,
                "a lock around every change of a shared DataFrame, or profile: process"),
        Library("matplotlib", False, None, False,
                "a Figure made without pyplot for each call, or profile: process"),
        Library("sqlite3", False, None, True, "a connection for each thread"),
        Library("nltk", False, None, False, "load its corpora before threads start"),
    )
}
_ALIASES = {"pytorch": "torch", "sklearn": "scikit-learn", "PIL": "pillow"}
_MODULES = {"scikit-learn": "sklearn", "pillow": "PIL"}


def get_library_info(name):
    """The ``Library`` of that name, None for one that is not in the table."""
    return _TABLE.get(_ALIASES.get(name, name))


def check(name, profile):
    """``("ok", "")``, ``("warning", why)`` or ``("unknown", why)`` for a library in pools
    of that profile, "process" or "thread"."""
    if profile == "process":
        return "ok", ""
    library = get_library_info(name)
    if library is None:
        return "unknown", f"nothing is known of {name} on several threads"
    if not library.is_thread_safe:
        return "warning", f"{name} is not made for several threads: {library.note}"
    return "ok", library.note


def generate_report(names, profile):
    """``compatible``, ``warnings`` and ``unknown``: lists of names with what to do."""
    report = {"compatible": [], "warnings": [], "unknown": []}
    places = {"ok": "compatible", "warning": "warnings", "unknown": "unknown"}
    for name in names:
        word, note = check(name, profile)
        report[places[word]].append({"library": name, "note": note})
    return report


def list_all():
    """Names by what is known: ``thread_safe``, ``not_thread_safe``, ``conditional`` (safe
    when the note is heeded)."""
    return {
        "thread_safe": sorted(n for n, x in _TABLE.items() if x.is_thread_safe and not x.note),
        "conditional": sorted(n for n, x in _TABLE.items() if x.is_thread_safe and x.note),
        "not_thread_safe": sorted(n for n, x in _TABLE.items() if not x.is_thread_safe),
    }


def loaded_libraries():
    """The libraries of the table that this process has imported."""
    return sorted(n for n in _TABLE if _MODULES.get(n, n) in sys.modules)


def installed_libraries():
    """The libraries of the table that could be imported, without importing them."""
    return sorted(
        n for n in _TABLE if importlib.util.find_spec(_MODULES.get(n, n)) is not None
    )


def python_facts():
    """``version``, ``free_threaded_build``, ``gil_enabled`` and the profile this
    interpreter is good for: ``recommended_profile`` and ``why``."""
    import sysconfig

    build = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    if not gil:
        profile, why = "thread", "threads run Python code at the same time"
    elif build:
        profile, why = "process", "this build can do without its lock, but the lock is on"
    else:
        profile, why = "process", "threads of this interpreter take turns at Python code"
    return {
        "version": sys.version.split()[0],
        "free_threaded_build": build,
        "gil_enabled": gil,
        "recommended_profile": profile,
        "why": why,
    }
