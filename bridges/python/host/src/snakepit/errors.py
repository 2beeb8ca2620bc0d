# SPDX-License-Identifier: MIT
"""Every class of error: one for each code of the library's table, below those of their
categories. `except snakepit.errors.QueueTimeoutError` is what SP-QUEUE-TIMEOUT raises."""

from . import _errors

globals().update(
    (name, value)
    for name, value in vars(_errors).items()
    if isinstance(value, type) and issubclass(value, _errors.SnakepitError)
)
globals().update((cls.__name__, cls) for cls in _errors.BY_CODE.values())
__all__ = sorted(name for name in globals() if name.endswith("Error"))
