# SPDX-License-Identifier: MIT
"""How exceptions are told: the chain of causes, and what array libraries say. NumPy is
the real one. PyTorch's messages are texts here, also those that only graphics processors
bring about; host/tests/test_torch.py has them from PyTorch itself, where that is found."""

import json
import pickle

import pytest

from snakepit_bridge import _array_errors, _failures
from snakepit_bridge.errors import ToolError, of_code


def details(call, *args):
    """What is told of the exception that a call must raise."""
    try:
        call(*args)
    except BaseException as exception:
        told = _failures.describe(exception, True)[3]
        return None if told is None else json.loads(told)
    raise AssertionError("it did not raise")


def chained():
    try:
        try:
            {}["first"]
        except KeyError as failure:
            raise ValueError("second") from failure
    except ValueError:
        raise RuntimeError("third")  # noqa: B904  a context, not a cause


def test_a_chain_is_told_nearest_first():
    causes = details(chained)["causes"]
    assert [(each["link"], each["type"]) for each in causes] == [
        ("context", "ValueError"),
        ("cause", "KeyError"),
    ]
    assert [each["message"] for each in causes] == ["second", "'first'"]
    assert all("in chained" in each["traceback"] for each in causes)


def test_a_context_that_was_suppressed_is_not_told():
    def hide():
        try:
            raise KeyError("hidden")
        except KeyError:
            raise ValueError("shown") from None

    assert details(hide) is None


def test_rings_and_long_chains_end():
    first, second = ValueError("1"), ValueError("2")
    first.__cause__, second.__cause__ = second, first
    (only,) = _failures.causes_of(first)
    assert only["message"] == "2"
    last = ValueError("0")
    for i in range(1, 50):
        after = ValueError(str(i))
        after.__cause__ = last
        last = after
    assert [each["message"] for each in _failures.causes_of(last)] == [
        str(i) for i in range(48, 38, -1)
    ]


def test_members_of_a_group_are_told():
    group = pytest.importorskip("builtins").__dict__.get("ExceptionGroup")
    if group is None:
        pytest.skip("this Python has no ExceptionGroup (3.11)")
    causes = _failures.causes_of(group("both", [KeyError("a"), OSError("b")]))
    assert [(each["link"], each["type"]) for each in causes] == [
        ("member", "KeyError"),
        ("member", "OSError"),
    ]


def test_what_was_raised_in_another_worker_stays_in_the_chain():
    there = json.dumps({"causes": [{"link": "cause", "type": "OSError", "message": "o"}]})
    error = of_code("SP-REMOTE", "m", "lib.Failure", "Traceback", there)
    assert isinstance(error, ToolError)
    again = pickle.loads(pickle.dumps(error))
    assert again.remote_details == json.loads(there)
    outer = ValueError("outer")
    outer.__cause__ = error
    assert [each["type"] for each in _failures.causes_of(outer)] == [
        "snakepit_bridge.errors.ToolError",
        "lib.Failure",
        "OSError",
    ]


def test_an_exception_whose_str_raises_is_told():
    class Awkward(Exception):
        def __str__(self):
            raise TypeError

    kind, message, trace, told = _failures.describe(Awkward(), True)
    assert kind.endswith("Awkward") and "TypeError" in message
    assert "Awkward" in trace and told is None


def test_texts_survive_as_c_strings():
    told = details(exec, "raise ValueError('a') from KeyError('n\\0l \\ud800')")
    assert told["causes"][0]["message"] == "'n\\x00l \\ud800'"


# ---- NumPy ----


@pytest.fixture
def np():
    return pytest.importorskip("numpy", reason="needs python3-numpy")


def check(found, **expected):
    for name, value in expected.items():
        assert found.get(name) == value, (name, found)


NUMPY_SHAPES = [
    (lambda np: np.ones((2, 3)) + np.ones((4, 5)), "broadcast", [2, 3], [4, 5]),
    (lambda np: np.ones((2, 3)).dot(np.ones((4, 5))), "dot", [2, 3], [4, 5]),
    (lambda np: np.ones((2, 3)) @ np.ones((4, 5)), "matmul", [3], [4]),
    (lambda np: np.ones(6).reshape(4, 2), "reshape", [4, 2], [6]),
    (lambda np: np.zeros(2).__setitem__(slice(None), np.ones(3)), "assign", [2], [3]),
    (
        lambda np: np.concatenate([np.ones((2, 3)), np.ones((2, 4))]),
        "concatenate",
        [3],
        [4],
    ),
    (lambda np: np.stack([np.ones(2), np.ones(3)]), "stack", None, None),
    (lambda np: np.repeat(np.ones(3), [1, 2]), "broadcast", [3], [2]),
    (lambda np: np.ones(3).__iadd__(np.ones((2, 3))), "broadcast", [2, 3], [3]),
    (
        lambda np: np.broadcast_arrays(np.ones(3), np.ones(4)),
        "broadcast",
        [3],
        [4],
    ),
    (lambda np: np.broadcast_to(np.ones(3), (4, 2)), "broadcast", [4, 2], [3]),
    (
        lambda np: np.einsum("ij,jk", np.ones((2, 3)), np.ones((4, 5))),
        "einsum",
        [2, 3],
        [4, 5],
    ),
    (
        lambda np: np.tensordot(np.ones((2, 3)), np.ones((4, 5)), axes=1),
        "tensordot",
        None,
        None,
    ),
    (lambda np: np.linalg.inv(np.ones((2, 3))), "linalg", None, None),
    (lambda np: np.ones(3)[np.ones(4, dtype=bool)], "index", [3], [4]),
    (lambda np: np.ones((2, 3))[[0, 1], [0, 1, 2]], "index", [2], [3]),
    (
        lambda np: np.ones((2, 3)).__setitem__(([0, 1], [0, 1]), np.ones(3)),
        "assign",
        [2],
        [3],
    ),
    (
        lambda np: np.ones(6).__setitem__(np.ones(6, dtype=bool), np.ones(4)),
        "assign",
        [6],
        [4],
    ),
    (lambda np: np.array([[1, 2], [3]]), "array", None, None),
]


@pytest.mark.parametrize("call, operation, expected, got", NUMPY_SHAPES)
def test_shapes_of_numpy(np, call, operation, expected, got):
    found = details(call, np)
    check(found, kind="shape_mismatch", library="numpy", operation=operation)
    check(found, expected=expected, got=got)


def test_numbers_of_dimensions_of_numpy(np):
    found = details(lambda: np.concatenate([np.ones((2, 3)), np.ones(4)]))
    check(found, kind="dimension_mismatch", operation="concatenate")
    check(found, expected=[2], got=[1])
    found = details(lambda: np.ones((2, 3)).sum(axis=2))
    check(found, kind="dimension_mismatch", expected=[2], got=[2])
    found = details(lambda: np.ones((2, 3))[0, 0, 0])
    check(found, kind="dimension_mismatch", operation="index", expected=[2], got=[3])
    found = details(lambda: np.ones(3) @ np.ones(()))
    check(found, kind="dimension_mismatch", operation="matmul", expected=[1], got=[0])
    found = details(lambda: np.transpose(np.ones((2, 3)), (0, 1, 2)))
    check(found, kind="dimension_mismatch", operation="transpose")


def test_dimensions_of_numpy(np):
    assert details(lambda: np.ones((2, 3)) @ np.ones((4, 5)))["dimension"] == 0
    assert details(lambda: np.ones((2, 3)).dot(np.ones((4, 5))))["dimension"] == 1


def test_types_of_numpy(np):
    def in_place():
        whole = np.ones(2, dtype="int64")
        whole += 0.5

    found = details(in_place)
    check(found, kind="dtype_mismatch", operation="add", expected="int64", got="float64")
    found = details(lambda: np.add(np.array(["a"]), np.ones(1)))
    check(found, kind="dtype_mismatch", library="numpy", operation="add")
    assert "float64" in found["got"]
    found = details(lambda: np.bincount(np.array([0.5])))
    check(found, kind="dtype_mismatch", operation="cast", expected="int64", got="float64")
    found = details(lambda: np.ones(3)[np.ones(3)])
    check(found, kind="dtype_mismatch", operation="index", expected="integer (or boolean)")
    found = details(lambda: np.datetime64("2020-01-01") + 1.5)
    check(found, kind="dtype_mismatch", operation="add")


def test_memory_of_numpy(np):
    found = details(lambda: np.ones((1 << 40, 1 << 10)))
    check(found, kind="out_of_memory", library="numpy", device="cpu")
    check(found, requested_bytes=1 << 53)
    found = details(lambda: np.ones((1 << 60, 1 << 10)))
    check(found, kind="out_of_memory", library="numpy", device="cpu")


def test_other_exceptions_of_numpy_are_left_alone(np):
    assert details(lambda: np.ones(3)[7]) is None
    assert details(lambda: np.array([1]).reshape("x")) is None


# ---- PyTorch ----

TORCH = [
    (
        "The size of tensor a (3) must match the size of tensor b (4) at non-singleton "
        "dimension 1",
        {
            "kind": "shape_mismatch",
            "operation": "broadcast",
            "expected": [3],
            "got": [4],
            "dimension": 1,
        },
    ),
    (
        "mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)",
        {"kind": "shape_mismatch", "expected": [2, 3], "got": [4, 5]},
    ),
    (
        "shape '[4, 2]' is invalid for input of size 6",
        {"kind": "shape_mismatch", "expected": [4, 2], "got": [6]},
    ),
    (
        "Sizes of tensors must match except in dimension 0. Expected size 3 but got size 4 "
        "for tensor number 1 in the list.",
        {"kind": "shape_mismatch", "operation": "cat", "expected": [3], "got": [4]},
    ),
    (
        "stack expects each tensor to be equal size, but got [3] at entry 0 and [4] at "
        "entry 1",
        {"kind": "shape_mismatch", "expected": [3], "got": [4]},
    ),
    (
        "Given groups=1, weight of size [6, 3, 5, 5], expected input[1, 1, 28, 28] to have "
        "3 channels, but got 1 channels instead",
        {"kind": "shape_mismatch", "operation": "conv", "expected": [3], "got": [1]},
    ),
    (
        "Dimension out of range (expected to be in range of [-2, 1], but got 2)",
        {"kind": "dimension_mismatch", "expected": [-2, 1], "got": [2]},
    ),
    (
        "Expected all tensors to be on the same device, but found at least two devices, "
        "cuda:0 and cpu!",
        {"kind": "device_mismatch", "expected": "cuda:0", "got": "cpu"},
    ),
    (
        "Input type (torch.cuda.FloatTensor) and weight type (torch.FloatTensor) should be "
        "the same",
        {
            "kind": "device_mismatch",
            "expected": "torch.FloatTensor",
            "got": "torch.cuda.FloatTensor",
        },
    ),
    (
        "expected scalar type Float but found Double",
        {"kind": "dtype_mismatch", "expected": "Float", "got": "Double"},
    ),
    (
        "mat1 and mat2 must have the same dtype, but got Float and Double",
        {"kind": "dtype_mismatch", "expected": "Float", "got": "Double"},
    ),
    (
        "CUDA out of memory. Tried to allocate 20.00 MiB (GPU 1; 7.79 GiB total capacity; "
        "5.61 GiB already allocated; 12.50 MiB free; 5.70 GiB reserved in total by PyTorch)",
        {
            "kind": "out_of_memory",
            "device": "cuda:1",
            "requested_bytes": 20 << 20,
            "available_bytes": 25 << 19,
        },
    ),
    (
        "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 7.79 "
        "GiB of which 12.00 MiB is free. Process 1 has 5 GiB memory in use.",
        {
            "kind": "out_of_memory",
            "device": "cuda:0",
            "requested_bytes": 2 << 30,
            "available_bytes": 12 << 20,
        },
    ),
    (
        "CUDA out of memory. Tried to allocate 512 bytes. GPU 0 has a total capacity of 7.79 "
        "GiB of which 0 bytes is free.",
        {"device": "cuda:0", "requested_bytes": 512, "available_bytes": 0},
    ),
    (
        "CUDA out of memory. Allocation was preemptively rejected because it would exceed "
        "per_process_memory_fraction limit. Requested size: 2.00 MiB",
        {"kind": "out_of_memory", "device": "cuda", "requested_bytes": 2 << 20},
    ),
    (
        "CUDA error: out of memory",
        {"kind": "out_of_memory", "device": "cuda", "requested_bytes": None},
    ),
    (
        "Expected all tensors to be on the same device, but got mat2 is on cpu, different from "
        "other tensors on cuda:0 (when checking argument in method wrapper_CUDA_mm)",
        {"kind": "device_mismatch", "expected": "cuda:0", "got": "cpu"},
    ),
    (
        "indices should be either on cpu or on the same device as the indexed tensor (cpu)",
        {"kind": "device_mismatch", "operation": "index", "expected": "cpu"},
    ),
    (
        "MPS backend out of memory (MPS allocated: 8.00 GB, other allocations: 384 KB, max "
        "allowed: 9.07 GB). Tried to allocate 256.00 MB on private pool.",
        {"kind": "out_of_memory", "device": "mps", "requested_bytes": 256 << 20},
    ),
    (
        "[enforce fail at alloc_cpu.cpp:75] err == 0. DefaultCPUAllocator: can't allocate "
        "memory: you tried to allocate 4000000000000 bytes. Error code 12 (Cannot allocate)",
        {"kind": "out_of_memory", "device": "cpu", "requested_bytes": 4000000000000},
    ),
]


@pytest.mark.parametrize("message, expected", TORCH)
def test_messages_of_torch(message, expected):
    found = _array_errors.recognise(RuntimeError(message))
    check(found, library="torch", **expected)


def test_an_out_of_memory_error_of_unknown_words_is_known_by_its_class():
    OutOfMemoryError = type("OutOfMemoryError", (RuntimeError,), {"__module__": "torch"})
    assert _array_errors.recognise(OutOfMemoryError("new words")) == {
        "kind": "out_of_memory",
        "library": "torch",
        "operation": "allocate",
    }


def test_a_plain_memory_error():
    check(_array_errors.recognise(MemoryError()), kind="out_of_memory", device="cpu")
    assert _array_errors.recognise(ValueError("something else")) is None
