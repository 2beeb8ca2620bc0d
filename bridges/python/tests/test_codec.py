# SPDX-License-Identifier: MIT
"""The codec against the interpreter's own json module."""

import collections
import dataclasses
import datetime
import decimal
import enum
import gc
import json
import math
import random
import sys
import threading
import uuid

import pytest

from snakepit_bridge import _worker
from snakepit_bridge._values import substitute
from snakepit_bridge._worker import DEPTH_MAX, decode, encode


def written(value):
    """What the encoder writes, read by the standard module."""
    return json.loads(encode(value, substitute))


def same(a, b):
    """Equal, of equal types, and NaN like NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (
            a == b and math.copysign(1, a) == math.copysign(1, b) or a != a and b != b
        )
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


# ---- random values, both ways ----


def random_text(source):
    alphabet = source.choice(
        (
            "abc xyz",
            '"\\/\b\f\n\r\t\0\x1f\x7f',
            "aé\u07ff\u0800\uffff",
            "a\U0001f40d\U0010ffff",
            "\ud800\udc00\udfffa",  # surrogates, alone and in pairs
        )
    )
    return "".join(source.choice(alphabet) for _ in range(source.randrange(12)))


def random_value(source, depth=0):
    kind = source.randrange(10 if depth < 6 else 7)
    if kind == 0:
        return None
    if kind == 1:
        return source.random() < 0.5
    if kind == 2:
        return source.randint(-(10**3), 10**3)
    if kind == 3:
        bits = source.choice((31, 32, 63, 64, 65, 200))
        return source.choice((-1, 1)) * (
            source.getrandbits(bits) + source.choice((0, 1))
        )
    if kind == 4:
        return source.choice(
            (
                source.uniform(-1e3, 1e3),
                source.uniform(-1, 1) * 10 ** source.randint(-300, 300),
                0.0, -0.0, 1e16, 1e22, 5e-324, 1.7976931348623157e308,
                math.inf, -math.inf, math.nan,
            )
        )  # fmt: skip
    if kind in (5, 6):
        return random_text(source)
    count = source.randrange(5)
    if kind == 7:
        return {
            random_text(source): random_value(source, depth + 1) for _ in range(count)
        }
    return [random_value(source, depth + 1) for _ in range(count)]


def joined(value):
    """Surrogate pairs are one character once they have been through JSON."""
    return json.loads(json.dumps(value))


@pytest.mark.parametrize("seed", range(20))
def test_random_values_agree_with_the_standard_module(seed):
    source = random.Random(seed)
    for _ in range(300):
        value = random_value(source)
        assert same(json.loads(encode(value)), joined(value)), value
        for text in (
            json.dumps(value),
            json.dumps(value, ensure_ascii=False, indent=1),
        ):
            raw = text.encode("utf-8", "surrogatepass")
            if any("\ud800" <= c <= "\udfff" for c in text):
                continue  # no valid UTF-8: the reader refuses it, see below
            assert same(decode(raw), json.loads(text)), text
        assert same(decode(encode(value)), joined(value)), value


@pytest.mark.parametrize("seed", range(10))
def test_damaged_text_is_refused_where_the_standard_module_refuses_it(seed):
    source = random.Random(seed)
    for _ in range(300):
        text = bytearray(json.dumps(random_value(source)).encode())
        for _ in range(source.randrange(1, 4)):
            at = source.randrange(len(text))
            text[at : at + source.randrange(2)] = source.choice(
                (
                    b"",
                    b"{",
                    b"]",
                    b'"',
                    b"\\",
                    b",",
                    b":",
                    b"0",
                    b"-",
                    b"e",
                    b"\x01",
                    b" ",
                )
            )
        try:
            expected = json.loads(bytes(text))
        except ValueError:
            with pytest.raises(ValueError):
                decode(bytes(text))
        else:
            assert same(decode(bytes(text)), expected), text


# ---- numbers ----


@pytest.mark.parametrize("digits", [1, 17, 18, 19, 20, 4000, 4299, 4300, 4301, 50_000])
def test_integers_of_any_size_are_exact(digits):
    for value in (10**digits - 1, -(10**digits) + 1, 10 ** (digits - 1)):
        assert decode(encode(value)) == value


def test_integers_beyond_the_limit_are_refused_and_say_so():
    with pytest.raises(ValueError, match="digits"):
        encode(10**100_001)
    with pytest.raises(ValueError, match="digits"):
        decode(b"1" * 100_001)


def test_floats_are_written_as_python_writes_them():
    for value in (0.1, 1.0, 1e16, 1e-7, 123456789.123456789, 5e-324, -0.0):
        assert encode(value) == repr(value).encode()
    assert encode([math.nan, math.inf, -math.inf]) == b"[NaN,Infinity,-Infinity]"


def test_numbers_too_large_for_a_float_are_infinite():
    assert decode("1e999") == math.inf == json.loads("1e999")
    assert decode("-1e999") == -math.inf


# ---- text ----


def test_text_leaves_as_utf8_and_lone_surrogates_as_escapes():
    assert encode("é\U0001f40d") == '"é\U0001f40d"'.encode()
    assert encode("\ud800") == b'"\\ud800"'
    assert decode(b'"\\ud800"') == "\ud800"
    assert decode(b'"\\ud83d\\udc0d"') == "\U0001f40d"


@pytest.mark.parametrize(
    "text", [b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\x80"', b"\xef\xbb"]
)
def test_text_that_is_no_utf8_is_refused(text):
    with pytest.raises(ValueError):
        decode(text)


def test_long_texts_survive():
    for text in ("a" * 10**6, "é" * 10**6, "\U0001f40d" * 10**5, '"' * 10**5):
        assert decode(encode(text)) == text


# ---- containers ----


def test_keys_become_text_as_in_the_standard_module():
    value = {1: "a", False: "b", None: "c", 2.5: "d", math.inf: "e", 2**70: "f"}
    assert written(value) == json.loads(json.dumps(value))


def test_other_keys_become_their_str():
    day = datetime.date(2024, 5, 1)
    assert written({(1, 2): 1, day: 2}) == {"(1, 2)": 1, "2024-05-01": 2}


def test_the_order_of_a_dict_is_kept():
    value = {str(i): i for i in random.Random(1).sample(range(1000), 1000)}
    assert list(decode(encode(value))) == list(value)
    ordered = collections.OrderedDict(a=1, b=2)
    ordered.move_to_end("a")
    assert encode(ordered) == b'{"b":2,"a":1}'


def test_the_last_of_equal_keys_wins():
    assert decode('{"a": 1, "a": 2}') == {"a": 2}


@pytest.mark.parametrize("opening, closing", ["[]", ('{"a":', "}")])
def test_depth_has_a_limit_both_ways(opening, closing):
    fits = opening * DEPTH_MAX + "1" + closing * DEPTH_MAX
    value = decode(fits)
    assert encode(value) == fits.encode()
    with pytest.raises(ValueError, match="deep"):
        decode(opening + fits + closing)
    with pytest.raises(ValueError, match="deep"):
        encode([value])


def test_circular_references_are_refused():
    circle = {}
    circle["self"] = [circle]
    with pytest.raises(ValueError, match="circular"):
        encode(circle)
    shared = [1]
    assert written([shared, shared]) == [[1], [1]]


def test_a_dict_that_changes_while_it_is_written_is_an_error():
    value = {"a": object(), "b": 1}

    def grow(_):
        value[len(value)] = 1
        return 1

    with pytest.raises(RuntimeError, match="changed size"):
        encode(value, grow)


def test_a_list_that_shrinks_while_it_is_written_is_no_danger():
    value = [object() for _ in range(10)]

    def shrink(_):
        del value[1:]
        return 1

    assert encode(value, shrink) == b"[1]"


# ---- what JSON cannot hold ----


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass
class Place:
    name: str
    where: tuple


class Model:
    def __init__(self, **data):
        self.data = data

    def model_dump(self):
        return self.data


class Broken:
    def to_dict(self):
        raise RuntimeError("not today")

    def isoformat(self, needed):
        return needed


Pair = collections.namedtuple("Pair", "left right")


@pytest.mark.parametrize(
    "value, expected",
    [
        (Model(a=Model(b=1)), {"a": {"b": 1}}),
        (Pair(1, [2]), {"left": 1, "right": [2]}),
        (datetime.datetime(2024, 5, 1, 12, 30), "2024-05-01T12:30:00"),
        (Place("x", (1, 2)), {"name": "x", "where": [1, 2]}),
        (Colour.RED, "red"),
        (Level.LOW, 1),
        ({1}, [1]),
        (frozenset("a"), ["a"]),
        (range(3), [0, 1, 2]),
        (collections.deque([1, 2]), [1, 2]),
        ({"a": 1}.keys(), ["a"]),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        ((1, (2,)), [1, [2]]),
    ],
)
def test_values_are_converted_where_they_can_be(value, expected):
    assert written([value]) == [expected]


@pytest.mark.parametrize(
    "value, name",
    [
        (object(), "builtins.object"),
        (1j, "builtins.complex"),
        (b"bytes", "builtins.bytes"),
        (Broken(), f"{__name__}.Broken"),
        (int, "builtins.type"),
        (uuid.UUID(int=1), "uuid.UUID"),
        (decimal.Decimal("1.5"), "decimal.Decimal"),
        (len, "builtins.builtin_function_or_method"),
        ((i for i in ()), "builtins.generator"),
    ],
)
def test_others_become_markers_that_name_their_type(value, name):
    assert written([value]) == [{"__ffi_unserializable__": True, "__type__": name}]


def test_markers_can_show_more(monkeypatch):
    from snakepit_bridge import _values

    class Secret:
        def __repr__(self):
            return "<Secret password='hunter2' " + "x" * 1000 + ">"

    monkeypatch.setattr(_values, "_DETAIL", "repr_truncated")
    assert written(Secret())["__repr__"].startswith("<Secret password='hunter2'")
    assert len(written(Secret())["__repr__"]) == 500
    monkeypatch.setattr(_values, "_DETAIL", "repr_redacted_truncated")
    assert "hunter2" not in written(Secret())["__repr__"]


def test_numpy_values_become_plain_ones():
    np = pytest.importorskip("numpy")
    value = {
        "i": np.int64(3),
        "f": np.float64(0.5),
        "f32": np.float32(0.5),
        "b": np.bool_(True),
        "a": np.arange(6).reshape(2, 3),
        np.int64(7): "key",
    }
    assert written(value) == {
        "i": 3, "f": 0.5, "f32": 0.5, "b": True,
        "a": [[0, 1, 2], [3, 4, 5]], "7": "key",
    }  # fmt: skip


def test_arrays_beyond_the_limit_become_markers(monkeypatch):
    np = pytest.importorskip("numpy")
    from snakepit_bridge import _values

    monkeypatch.setattr(_values, "_ELEMENTS_MAX", 10)
    assert written(np.zeros(10)) == [0.0] * 10
    assert written(np.zeros(11))["__type__"] == "numpy.ndarray"


def test_an_exception_of_the_substitute_passes():
    def fail(value):
        raise KeyError("from the substitute")

    with pytest.raises(KeyError, match="from the substitute"):
        encode([object()], fail)


def test_a_substitute_that_never_ends_is_stopped():
    with pytest.raises(ValueError, match="circular"):
        encode(object(), lambda value: value)
    with pytest.raises(ValueError, match="deep"):
        encode(object(), lambda value: object())


# ---- memory ----


TOO_LONG = 10**100_001


def blocks_after(work, rounds):
    for _ in range(rounds):
        work()
    gc.collect()
    return sys.getallocatedblocks()


@pytest.mark.parametrize(
    "work",
    [
        lambda: decode('{"a": [1, 2.5, "x", {"b": null}], "\\u00e9": "\\n"}'),
        lambda: encode({"a": [1, 2.5, "x", {"b": None}], 1: 2**70}),
        lambda: pytest.raises(ValueError, decode, '{"a": [1, {"b": [2, "x\\n", }'),
        lambda: pytest.raises(ValueError, encode, [["x", TOO_LONG]]),
        lambda: pytest.raises(TypeError, encode, {"a": [object()]}),
    ],
)
def test_nothing_is_leaked(work):
    blocks_after(work, 100)
    growth = []
    for _ in range(3):
        before = blocks_after(work, 100)
        growth.append(blocks_after(work, 1000) - before)
    assert min(growth) < 100  # a leak would show each time


def test_threads_may_use_the_codec_at_once():
    shared = {"key%d" % i: [i, str(i)] for i in range(50)}
    failures = []

    def work():
        for _ in range(200):
            if decode(encode(shared)) != shared:
                failures.append("differs")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize("name", ["Call", "Memory", "Pending", "Source"])
def test_what_the_worker_makes_is_not_made_by_hand(name):
    kind = getattr(_worker, name)
    with pytest.raises(TypeError):
        kind()
    with pytest.raises(TypeError):
        object.__new__(kind)
