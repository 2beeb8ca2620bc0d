# SPDX-License-Identifier: MIT
"""Decimal text of integers beyond the interpreter's own limit of some 4300 digits.

The limit exists because the interpreter's conversion takes time quadratic in the number
of digits. Halving does better, and DIGITS_MAX keeps what is left within a moment.
Called by the codec, never for numbers the interpreter converts itself.
"""

DIGITS_MAX = 100_000
_PIECE = 600  # digits; below the least limit that can be set


def _refuse(digits):
    raise ValueError(
        f"an integer of {digits} digits is beyond the limit of {DIGITS_MAX}"
    )


def from_text(text):
    """The integer that decimal text (perhaps with a minus sign) stands for."""
    sign, digits = (-1, text[1:]) if text[0] == "-" else (1, text)
    if len(digits) > DIGITS_MAX:
        _refuse(len(digits))
    return sign * _from_digits(digits)


def _from_digits(digits):
    n = len(digits)
    if n <= _PIECE:
        return int(digits)
    low = n // 2
    return _from_digits(digits[:-low]) * 10**low + _from_digits(digits[-low:])


def to_text(value):
    """The integer's decimal text."""
    # A bit is worth log10(2) digits, which is just below 0.30103.
    digits = abs(value).bit_length() * 30103 // 100_000 + 1
    if digits > DIGITS_MAX + 1:
        _refuse(digits)
    text = _to_digits(abs(value), digits)
    return ("-" if value < 0 else "") + (text.lstrip("0") or "0")


def _to_digits(value, width):
    if width <= _PIECE:
        return str(value).zfill(width)
    low = width // 2
    upper, lower = divmod(value, 10**low)
    return _to_digits(upper, width - low) + _to_digits(lower, low)
