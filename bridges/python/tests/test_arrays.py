# SPDX-License-Identifier: MIT
"""Arrays and bytes beside the JSON: the codec alone, and what a stock client sees."""

import array
import ctypes
import gc
import json
import struct
import sys
import weakref

import pytest

from snakepit_bridge import BadArguments, _arrays
from snakepit_bridge._values import substitute
from snakepit_bridge._worker import decode, encode_parts

numpy = pytest.importorskip("numpy")


def there_and_back(value):
    text, blob = encode_parts(value, substitute)
    return decode(text, {"": blob})


DTYPES = ["?", "i1", "u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8",
          "<f2", "<f4", "<f8", "<c8", "<c16"]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(12000,), (120, 100), (2, 3, 4, 5, 100), (1,) * 31 + (12000,)])
def test_dtype_and_shape_are_kept(dtype, shape):
    value = (numpy.arange(12000) % 100).astype(dtype).reshape(shape)
    result = there_and_back({"x": value})["x"]
    assert isinstance(result, numpy.ndarray)
    assert result.dtype == value.dtype and result.shape == shape
    assert (result == value).all()


def test_the_type_of_an_array_is_its_name():
    dtypes = {"x": numpy.dtype("int64"), "y": numpy.zeros(1, "f4").dtype}
    text, _ = encode_parts(dtypes, substitute)
    assert json.loads(text) == {"x": "int64", "y": "float32"}


def test_special_numbers_survive_bit_by_bit():
    bits = numpy.random.default_rng(1).integers(0, 2**64, 5000, dtype="u8")
    value = bits.view("f8")  # every NaN with its payload
    assert (there_and_back(value).view("u8") == bits).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda a: a.T,
        lambda a: a[::-1],
        lambda a: a[:, ::2],
        lambda a: numpy.asfortranarray(a),
        lambda a: numpy.broadcast_to(a[0], (500, 200)),
        lambda a: a.astype(a.dtype.newbyteorder(">")),
        lambda a: a.view(numpy.matrix),
    ],
)
def test_any_layout_is_put_in_order(make):
    value = make(numpy.arange(40000.0).reshape(200, 200))
    result = there_and_back(value)
    assert result.dtype == numpy.dtype("<f8")
    assert result.flags.c_contiguous and (result == value).all()


def test_whatever_lends_its_buffer_is_taken():
    values = {
        "array": array.array("h", range(9000)),
        "ctypes": (ctypes.c_double * 3000)(*range(3000)),
        "view": memoryview(array.array("q", range(4000)))[::2],
        "cast": memoryview(bytes(range(200)) * 100).cast("B", (200, 100)),
    }
    result = there_and_back(values)
    assert result["array"].dtype == "<i2" and result["array"][8999] == 8999
    assert result["ctypes"].dtype == "<f8" and result["ctypes"][2999] == 2999
    assert result["view"].dtype == "<i8" and result["view"][1999] == 3998
    assert result["cast"].dtype == "u1" and result["cast"].shape == (200, 100)


def test_bytes_of_any_size_stay_bytes():
    value = {"none": b"", "few": b"\0\xff", "many": bytearray(50000),
             "view": memoryview(b"abc")}  # fmt: skip
    assert there_and_back(value) == {
        "none": b"", "few": b"\0\xff", "many": bytes(50000), "view": b"abc",
    }  # fmt: skip


def test_what_is_small_stays_json():
    text, blob = encode_parts(numpy.zeros(1280), substitute)
    assert json.loads(text) == [0.0] * 1280 and blob == b""
    text, blob = encode_parts(numpy.zeros(1281), substitute)
    assert len(blob) == 1281 * 8 and len(text) < 100


def test_objects_and_dates_are_no_tensors():
    for value in (
        numpy.array([{}] * 5000, dtype=object),
        numpy.zeros(5000, "M8[s]"),
        numpy.array(["text"] * 5000),
        numpy.zeros(5000, [("a", "f8"), ("b", "i4")]),
    ):
        text, blob = encode_parts(value, substitute)
        assert blob == b"" and b"__tensor__" not in text


def test_the_value_is_let_go_when_the_json_fails():
    class Stubborn:
        pass

    def refuse(value):
        raise RuntimeError("no")

    value = numpy.zeros(5000)
    alive = weakref.ref(value)
    with pytest.raises(RuntimeError):
        encode_parts([value, value, Stubborn()], refuse)
    del value
    gc.collect()
    assert alive() is None


def test_a_received_array_is_read_only_and_copies_nothing():
    blob = bytearray(struct.pack("<3000d", *range(3000)))
    text = b'{"__tensor__":{"dtype":"<f8","shape":[3000],"part":"p"}}'
    result = decode(text, {"p": bytes(blob)})
    assert not result.flags.owndata and not result.flags.writeable
    with pytest.raises(ValueError):
        result[0] = 1
    shared = decode(text, {"p": blob})
    struct.pack_into("<d", blob, 8, 77.0)
    assert shared[1] == 77.0


WRONG = [
    '{"dtype":"|O","shape":[1]}',
    '{"dtype":"<f8"}',
    '{"shape":[1]}',
    '{"dtype":"<f8","shape":[-1]}',
    '{"dtype":"<f8","shape":[1.0]}',
    '{"dtype":"<f8","shape":[true]}',
    '{"dtype":"<f8","shape":1}',
    '{"dtype":"<f8","shape":[18446744073709551616]}',
    '{"dtype":"<f8","shape":[4294967296,4294967296]}',
    '{"dtype":"<f8","shape":[2,1]}',
    '{"dtype":"<f8","shape":[1],"at":1}',
    '{"dtype":"<f8","shape":[1],"at":-1}',
    '{"dtype":"<f8","shape":[1],"order":"F"}',
    '{"dtype":"<f8","shape":[1],"part":1}',
    '{"dtype":"<f8","shape":' + json.dumps([1] * 33) + "}",
    "[]",
    "null",
]


@pytest.mark.parametrize("description", WRONG)
def test_what_cannot_be_meant_is_refused(description):
    with pytest.raises(BadArguments):
        decode('{"a":[{"__tensor__":%s}]}' % description, {"": bytes(8)})


def test_without_parts_such_an_object_is_an_object():
    assert decode('{"__tensor__":5}') == {"__tensor__": 5}


def test_without_numpy(monkeypatch):
    monkeypatch.setitem(sys.modules, "numpy", None)
    blob = struct.pack("<6h", 1, 2, 3, 4, 5, 6)
    view = decode(
        '{"__tensor__":{"dtype":"<i2","shape":[2,3]}}', {"": blob}
    )
    assert isinstance(view, memoryview) and view.tolist() == [[1, 2, 3], [4, 5, 6]]
    with pytest.raises(BadArguments, match="needs NumPy"):
        decode('{"__tensor__":{"dtype":"<f2","shape":[6]}}', {"": blob})
    assert _arrays.plain(object()) is NotImplemented
    text, out = encode_parts(array.array("d", range(5000)), substitute)
    assert len(out) == 40000


# ---- a stock client ----

ADAPTER = {
    "arrays.py": """
import numpy
from snakepit_bridge import BaseAdapter, tool

class Arrays(BaseAdapter):
    @tool
    def double(self, x):
        return x * 2

    @tool
    def rows(self, x):
        yield from x
"""
}


def test_a_stock_client_sends_and_gets_raw_bytes(start):
    client = start("arrays.Arrays", ADAPTER).client
    value = numpy.arange(5000.0)
    place = {"__tensor__": {"dtype": "<f8", "shape": [5000], "part": "x"}}
    response = client.execute("double", {"x": place}, binary={"x": value.tobytes()})
    assert response.success, response.error_message
    assert response.binary_result == (value * 2).tobytes()
    assert response.result.type_url == "type.googleapis.com/snakepit.tensor"
    assert json.loads(response.result.value) == {
        "__tensor__": {"dtype": "<f8", "shape": [5000]}
    }


def test_a_stock_client_gets_chunks_with_bytes(start):
    client = start("arrays.Arrays", ADAPTER).client
    value = numpy.arange(6000, dtype="u4").reshape(2, 3000)
    place = {"__tensor__": {"dtype": "<u4", "shape": [2, 3000], "part": "x"}}
    request = client.request("rows", {"x": place}, binary={"x": value.tobytes()})
    chunks = [c for c in client.stub.ExecuteStreamingTool(request) if c.data]
    assert [c.binary for c in chunks] == [row.tobytes() for row in value]
    assert json.loads(chunks[1].data)["__tensor__"]["shape"] == [3000]


def test_a_pickle_is_never_opened(start, tmp_path):
    client = start("arrays.Arrays", ADAPTER).client
    canary = tmp_path / "canary"
    pickle = b"cos\nsystem\n(S'touch " + str(canary).encode() + b"'\ntR."
    for place in (
        {"__tensor__": {"dtype": "|O", "shape": [1], "part": "x"}},
        {"__tensor__": {"dtype": "<f8", "shape": [1], "part": "x"}},
        {"__tensor__": {"dtype": "|u1", "shape": [len(pickle)], "part": "x"}},
    ):
        request = client.request(
            "double", {"x": place}, binary={"x": pickle},
            metadata={"binary_format:x": "pickle"},
        )  # fmt: skip
        try:
            client.stub.ExecuteTool(request, timeout=20)
        except Exception:
            pass  # refused, or taken as the numbers they are not
    assert not canary.exists()
