# SPDX-License-Identifier: MIT
"""What open() is given, as the library reads it."""

import json
import os


def _is_text(config):
    return "\n" in config or ": " in config or config.lstrip().startswith("{")


def read(config, pool):
    """(path, text): one of them is None, or both for the default places.

    config  a path, YAML text, or a dict of the same form
    pool    a dict with the keys of the only pool, instead
    """
    if pool:
        if config is not None:
            raise TypeError(
                f"{', '.join(sorted(pool))}: a pool's keys go into the configuration, "
                "or come without one"
            )
        config = {"pools": [{"name": "default", **pool}]}
    if config is None:
        return None, None
    if isinstance(config, dict):
        # JSON is YAML; paths are what a dict may have beside it.
        return None, json.dumps(config, default=os.fspath)
    if isinstance(config, bytes):
        return None, config.decode()
    if isinstance(config, str) and _is_text(config):
        return None, config
    return os.fspath(config), None


def settings(values):
    """The pairs of texts for a dict of keys as `--set` takes them."""
    pairs = []
    for key, value in (values or {}).items():
        if isinstance(value, bool):
            value = "true" if value else "false"
        pairs.append((key, str(value)))
    return pairs
