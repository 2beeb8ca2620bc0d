# SPDX-License-Identifier: MIT
"""The showcase's tools, one file per kind. Each is imported when it is first needed."""


def __getattr__(name):
    import sys

    full_name = f"{__name__}.{name}"
    try:
        __import__(full_name)  # leaves it here as an attribute, so this is asked once
    except ModuleNotFoundError as failure:
        if failure.name != full_name:
            raise
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return sys.modules[full_name]
