# SPDX-License-Identifier: MIT
"""A class for each code of the library's table of errors.

The table is the C library's, as the extension gives it; what stands here is only how a
class is made of a row. Shared by workers and by programs that call.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple

    class Row(NamedTuple):
        code: str
        number: int
        category: str
        retryable: bool
        grpc_status: int
        text: str
        hint: str


def name_of(code, suffix=""):
    """"SP-QUEUE-FULL" as "QueueFull"."""
    return "".join(word.capitalize() for word in code.split("-")[1:]) + suffix


def mark(cls, row):
    """Give a class what its code's row says."""
    cls.code, cls.number, cls.category, retryable, cls.grpc_status, _, cls.hint = row
    cls.retryable = bool(retryable)


def make(rows, class_of, suffix, module):
    """{code: class}: for each row what class_of gives, or a new class.

    rows      of the table
    class_of  class_of(row) -> (class, True), or (the base of a new one, False)
    suffix    of the new names: "Error"
    module    where the new classes say that they are
    """
    made = {}
    for row in rows:
        cls, is_whole = class_of(row)
        if not is_whole:
            text = f"{row[5].capitalize()}. Try: {row[6]}."
            names = {"__module__": module, "__doc__": text}
            cls = type(name_of(row[0], suffix), (cls,), names)
            mark(cls, row)
        made[row[0]] = cls
    return made
