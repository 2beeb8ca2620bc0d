# SPDX-License-Identifier: MIT
"""What PyTorch refuses, by name, and what is to be known of it: in every version from 1.13
on, whatever its words are."""


def zeros(*shape, **options):
    import torch

    return torch.zeros(*shape, **options)


def of_type(name, *shape):
    import torch

    return torch.zeros(*shape, dtype=getattr(torch, name))


def elsewhere(*shape):
    """A tensor on another device, which every machine has: it has no elements."""
    return zeros(*shape, device="meta")


def layer(name, *arguments):
    import torch

    return getattr(torch.nn, name)(*arguments)


def loss(name, *tensors):
    import torch

    return getattr(torch.nn.functional, name)(*tensors)


def call(name, *arguments):
    import torch

    return getattr(torch, name)(*arguments)


def put(index, value):
    zeros(3)[index] = value


def shape(operation, expected=None, got=None, dimension=None):
    facts = {"kind": "shape_mismatch", "operation": operation, "expected": expected,
             "got": got, "dimension": dimension}  # fmt: skip
    return {name: value for name, value in facts.items() if value is not None}


def dimensions(operation, **facts):
    return {"kind": "dimension_mismatch", "operation": operation, **facts}


def dtype(operation=None, **facts):
    facts = {"kind": "dtype_mismatch", **facts}
    return facts if operation is None else {"operation": operation, **facts}


def device(**facts):
    return {"kind": "device_mismatch", **facts}


CASES = {
    # ---- shapes ----
    "broadcast": (lambda: zeros(2, 3) + zeros(2, 4), shape("broadcast", [3], [4], 1)),
    "matmul": (lambda: zeros(2, 3) @ zeros(4, 5), shape("matmul", [2, 3], [4, 5])),
    "matmul of a batch": (
        lambda: zeros(2, 3, 4) @ zeros(2, 5, 6), shape("bmm", [2, 4], [2, 5])
    ),
    "mv": (lambda: zeros(2, 3) @ zeros(4), shape("mv", [2, 3], [4])),
    "dot": (lambda: call("dot", zeros(3), zeros(4)), shape("dot", [3], [4])),
    "einsum": (
        lambda: call("einsum", "ij,jk->ik", zeros(2, 3), zeros(4, 5)),
        shape("einsum", [3], [4]),
    ),
    "inverse": (
        lambda: call("inverse", zeros(2, 3)), shape("linalg.inv", got=[2, 3])
    ),
    "reshape": (lambda: zeros(6).reshape(4, 2), shape("reshape", [4, 2], [6])),
    "view": (lambda: zeros(6).view(-1, 4), shape("reshape", [-1, 4], [6])),
    "expand": (lambda: zeros(2, 3).expand(4, 4), shape("expand", [4, 4], [2, 3], 1)),
    "cat": (lambda: call("cat", [zeros(2, 3), zeros(2, 4)]), shape("cat", [3], [4], 0)),
    "stack": (lambda: call("stack", [zeros(3), zeros(4)]), shape("stack", [3], [4])),
    "mask": (
        lambda: zeros(2, 3)[zeros(4).bool()], shape("index", [2, 3], [4], 0)
    ),
    "assign": (lambda: put(slice(None), zeros(4)), shape("expand", [3], [4], 0)),
    "linear": (
        lambda: layer("Linear", 3, 4)(zeros(2, 5)), shape("matmul", [2, 5], [3, 4])
    ),
    "conv": (
        lambda: layer("Conv2d", 3, 6, 5)(zeros(1, 1, 28, 28)), shape("conv", [3], [1])
    ),
    "batch norm": (
        lambda: layer("BatchNorm1d", 3)(zeros(2, 5)), shape("batch_norm", [3], [5])
    ),
    "layer norm": (
        lambda: layer("LayerNorm", 3)(zeros(2, 5)), shape("layer_norm", [3], [2, 5])
    ),
    "lstm": (lambda: layer("LSTM", 3, 4)(zeros(2, 5)), shape("rnn", [3], [5])),
    "loss": (
        lambda: loss("cross_entropy", zeros(3, 5), of_type("int64", 4)),
        shape("loss", [4], [3]),
    ),
    "binary loss": (
        lambda: loss("binary_cross_entropy", zeros(3), zeros(4)), shape("loss", [3], [4])
    ),
    # ---- numbers of dimensions ----
    "sum": (
        lambda: zeros(2, 3).sum(dim=2),
        {"kind": "dimension_mismatch", "expected": [-2, 1], "got": [2]},
    ),
    "cat of unequals": (
        lambda: call("cat", [zeros(2, 3), zeros(4)]),
        dimensions("cat", expected=[2], got=[1]),
    ),
    "mm of a vector": (lambda: call("mm", zeros(3), zeros(3, 4)), dimensions("mm")),
    "bmm of a matrix": (
        lambda: call("bmm", zeros(3, 4), zeros(3, 4, 6)), dimensions("bmm", expected=[3])
    ),
    "conv of an image": (
        lambda: layer("Conv2d", 3, 6, 5)(zeros(28, 28)), dimensions("conv2d", got=[28, 28])
    ),
    "expand to less": (
        lambda: zeros(2, 3).expand(3), dimensions("expand", expected=[2], got=[1])
    ),
    "permute": (
        lambda: zeros(2, 3).permute(0, 1, 2), dimensions("permute", expected=[2], got=[3])
    ),
    # ---- types of elements ----
    "types in a matmul": (lambda: zeros(2, 2) @ of_type("float64", 2, 2), dtype()),
    "types in a linear": (
        lambda: layer("Linear", 3, 3)(of_type("float64", 2, 3)), dtype()
    ),
    "types in a dot": (
        lambda: zeros(2) @ of_type("float64", 2),
        dtype("dot", expected="Float", got="Double"),
    ),
    "types in a mv": (lambda: zeros(2, 2) @ of_type("float64", 2), dtype()),
    "types in a bmm": (
        lambda: zeros(2, 2, 2) @ of_type("float64", 2, 2, 2),
        dtype(expected="Float", got="Double"),
    ),
    "types in a conv": (
        lambda: layer("Conv2d", 1, 1, 1)(of_type("float64", 1, 1, 3, 3)),
        dtype("conv", expected="float", got="double"),
    ),
    "types in an lstm": (
        lambda: layer("LSTM", 3, 4)(of_type("float64", 2, 3)), dtype()
    ),
    "types in a batch norm": (
        lambda: layer("BatchNorm1d", 3)(of_type("float64", 2, 3)), dtype("batch_norm")
    ),
    "types in a loss": (lambda: loss("cross_entropy", zeros(3, 5), zeros(3)), dtype()),
    "types in an embedding": (
        lambda: layer("Embedding", 3, 4)(zeros(2)),
        dtype("embedding", expected="Long, Int", got="torch.FloatTensor"),
    ),
    "types in place": (
        lambda: of_type("int64", 2).add_(0.5), dtype("cast", expected="Long", got="Float")
    ),
    "a mean of integers": (lambda: of_type("int64", 2).mean(), dtype("mean", got="Long")),
    "an index of floats": (
        lambda: zeros(2).index_select(0, zeros(1)), dtype("index_select")
    ),
    "types in a put": (
        lambda: put(of_type("int64", 1), of_type("float64", 1)),
        dtype("index_put", expected="Float", got="Double"),
    ),
    "types in a scatter": (
        lambda: zeros(2).scatter(0, of_type("int64", 1), of_type("float64", 1)),
        dtype("scatter"),
    ),
    "a condition of floats": (
        lambda: call("where", zeros(2), zeros(2), zeros(2)),
        dtype("where", expected="boolean", got="Float"),
    ),
    "an inverse of integers": (
        lambda: call("inverse", of_type("int64", 2, 2)), dtype("linalg.inv", got="Long")
    ),
    # ---- devices ----
    "devices in a sum": (lambda: layer("Linear", 3, 3)(zeros(2, 3)) + elsewhere(2, 3), device()),
    "a device without elements": (
        lambda: elsewhere(2).numpy(), device(operation="numpy", got="meta", expected="cpu")
    ),
    # ---- memory ----
    "memory": (
        lambda: call("empty", 10**13),
        {"kind": "out_of_memory", "device": "cpu", "requested_bytes": 4 * 10**13},
    ),
}
