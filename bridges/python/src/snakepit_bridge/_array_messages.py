# SPDX-License-Identifier: MIT
"""The forms of the messages in which NumPy and PyTorch say what did not fit.

A row is (kind, library, operation or None, pattern); the named groups of the pattern are
the facts: expected, got, operation, dimension, and of memory backend and requested. The
first row that fits counts. The messages are those of NumPy 1.24 and 2.4 and of PyTorch
1.13 and 2.15.
"""

SHAPE = "shape_mismatch"
DIMENSIONS = "dimension_mismatch"
DTYPE = "dtype_mismatch"
DEVICE = "device_mismatch"
MEMORY = "out_of_memory"

SIZE = r"[\d.]+ (?:bytes|[KMGT]?i?B)"


def _shape(name):
    """A pattern of (2,3) or [2, 3], named."""
    return rf"[(\[](?P<{name}>[\d, ]*)[)\]]"


ROWS = (
    # ---- NumPy ----
    (
        SHAPE,
        "numpy",
        "broadcast",
        rf"operands could not be broadcast together with shapes? {_shape('expected')} "
        rf"{_shape('got')}",
    ),
    (
        SHAPE,
        "numpy",
        "dot",
        rf"shapes {_shape('expected')} and {_shape('got')} not aligned: "
        r"\d+ \(dim (?P<dimension>\d+)\)",
    ),
    (
        SHAPE,
        "numpy",
        None,
        r"\b(?P<operation>\w+): Input operand \d+ has a mismatch in its core dimension "
        r"(?P<dimension>\d+), .*\(size (?P<got>\d+) is different from "
        r"(?P<expected>\d+)\)",
    ),
    (
        SHAPE,
        "numpy",
        "reshape",
        rf"cannot reshape array of size (?P<got>\d+) into shape {_shape('expected')}",
    ),
    (
        SHAPE,
        "numpy",
        "assign",
        rf"could not broadcast input array from shape {_shape('got')} into shape "
        rf"{_shape('expected')}",
    ),
    (
        SHAPE,
        "numpy",
        "concatenate",
        r"all the input array dimensions .* along dimension (?P<dimension>\d+), the "
        r"array at index \d+ has size (?P<expected>\d+) and the array at index \d+ has "
        r"size (?P<got>\d+)",
    ),
    (
        DIMENSIONS,
        "numpy",
        "concatenate",
        r"all the input arrays must have same number of dimensions, but the array at "
        r"index \d+ has (?P<expected>\d+) dimension\(s\) and the array at index \d+ has "
        r"(?P<got>\d+) dimension",
    ),
    (SHAPE, "numpy", "stack", r"all input arrays must have the same shape"),
    (
        SHAPE,
        "numpy",
        "broadcast",
        rf"non-broadcastable output operand with shape {_shape('got')} doesn't match the "
        rf"broadcast shape {_shape('expected')}",
    ),
    (
        SHAPE,
        "numpy",
        "broadcast",
        rf"objects cannot be broadcast to a single shape\. +Mismatch is between arg \d+ with "
        rf"shape {_shape('expected')} and arg \d+ with shape {_shape('got')}",
    ),
    (
        SHAPE,
        "numpy",
        "broadcast",
        rf"remapped shapes \[original->remapped\]: {_shape('got')} +and requested shape "
        rf"{_shape('expected')}",
    ),
    (
        SHAPE,
        "numpy",
        "einsum",
        rf"remapped shapes \[original->remapped\]: {_shape('expected')}->\([^)]*\) "
        rf"{_shape('got')}->",
    ),
    (SHAPE, "numpy", "tensordot", r"shape-mismatch for sum"),
    (
        SHAPE,
        "numpy",
        "linalg",
        r"Last 2 dimensions of the array must be square",
    ),
    (
        SHAPE,
        "numpy",
        "index",
        r"boolean index did not match indexed array along (?:dimension|axis) "
        r"(?P<dimension>\d+); (?:dimension|size of axis) is (?P<expected>\d+) but (?:size of )?"
        r"corresponding boolean (?:dimension|axis) is (?P<got>\d+)",
    ),
    (
        SHAPE,
        "numpy",
        "index",
        r"indexing arrays could not be broadcast together with shapes "
        rf"{_shape('expected')} {_shape('got')}",
    ),
    (
        SHAPE,
        "numpy",
        "assign",
        rf"value array of shape {_shape('got')} could not be broadcast to indexing result of "
        rf"shape {_shape('expected')}",
    ),
    (
        SHAPE,
        "numpy",
        "assign",
        r"array indexing assignment cannot assign (?P<got>\d+) input values to the "
        r"(?P<expected>\d+) output values",
    ),
    (
        SHAPE,
        "numpy",
        "array",
        r"setting an array element with a sequence\. The requested array has an inhomogeneous "
        r"shape",
    ),
    (
        DIMENSIONS,
        "numpy",
        None,
        r"\b(?P<operation>\w+): Input operand \d+ does not have enough dimensions "
        r"\(has (?P<got>\d+), .* requires (?P<expected>\d+)\)",
    ),
    (
        DIMENSIONS,
        "numpy",
        "linalg",
        r"(?P<got>\d+)-dimensional array given\. Array must be at least two-dimensional",
    ),
    (
        DIMENSIONS,
        "numpy",
        "index",
        r"too many indices for array: array is (?P<expected>\d+)-dimensional, but "
        r"(?P<got>\d+) were indexed",
    ),
    (DIMENSIONS, "numpy", "transpose", r"axes don't match array"),
    (
        DTYPE,
        "numpy",
        "cast",
        r"Cannot cast array data from dtype\('(?P<got>[^']+)'\) to "
        r"dtype\('(?P<expected>[^']+)'\)",
    ),
    (
        DTYPE,
        "numpy",
        None,
        r"Cannot cast ufunc '(?P<operation>\w+)' \w+(?: \d+)? from "
        r"dtype\('(?P<got>[^']+)'\) to dtype\('(?P<expected>[^']+)'\)",
    ),
    (
        DTYPE,
        "numpy",
        None,
        r"ufunc '(?P<operation>\w+)' (?:did not contain a loop with signature matching "
        r"types|not supported for the input types)",
    ),
    (
        DIMENSIONS,
        "numpy",
        None,
        r"axis (?P<got>-?\d+) is out of bounds for array of dimension (?P<expected>\d+)",
    ),
    (
        DTYPE,
        "numpy",
        None,
        r"ufunc '(?P<operation>\w+)' cannot use operands with types",
    ),
    (
        DTYPE,
        "numpy",
        "index",
        r"arrays used as indices must be of (?P<expected>integer \(or boolean\)) type",
    ),
    (MEMORY, "numpy", "allocate", r"array is too big; `arr\.size \* arr\.dtype\.itemsize`"),
    # ---- PyTorch: shapes ----
    (
        SHAPE,
        "torch",
        "broadcast",
        r"The size of tensor a \((?P<expected>\d+)\) must match the size of tensor b "
        r"\((?P<got>\d+)\) at non-singleton dimension (?P<dimension>\d+)",
    ),
    (
        SHAPE,
        "torch",
        "expand",
        r"The expanded size of the tensor \(\d+\) must match the existing size \(\d+\) at "
        r"non-singleton dimension (?P<dimension>\d+)\. +Target sizes: "
        rf"{_shape('expected')}\. +Tensor sizes: {_shape('got')}",
    ),
    (
        SHAPE,
        "torch",
        "matmul",
        r"mat1 and mat2 shapes cannot be multiplied \((?P<expected>\d+x\d+) and "
        r"(?P<got>\d+x\d+)\)",
    ),
    (
        SHAPE,
        "torch",
        "mv",
        r"size mismatch, got (?:input \()?\d+\)?, ?(?:mat \()?(?P<expected>\d+x\d+)\)?, ?"
        r"(?:vec \()?(?P<got>\d+)",
    ),
    (
        SHAPE,
        "torch",
        "bmm",
        r"Expected size for first two dimensions of batch2 tensor to be: "
        rf"{_shape('expected')} but got: {_shape('got')}",
    ),
    (
        SHAPE,
        "torch",
        "dot",
        rf"inconsistent tensor size, expected tensor {_shape('expected')} and src "
        rf"{_shape('got')} to have the same number of elements",
    ),
    (
        SHAPE,
        "torch",
        "einsum",
        r"einsum\(\): subscript \w has size (?P<got>\d+) for operand \d+ which does not "
        r"broadcast with previously seen size (?P<expected>\d+)",
    ),
    (
        SHAPE,
        "torch",
        None,
        r"\b(?P<operation>linalg\.\w+): A must be batches of square matrices, but they are "
        r"(?P<got>\d+ by \d+) matrices",
    ),
    (
        SHAPE,
        "torch",
        None,
        r"\b(?P<operation>linalg\.\w+): Incompatible shapes of A and B for the equation "
        r"\w+ = \w+ \((?P<expected>\d+x\d+) and (?P<got>\d+x\d+)\)",
    ),
    (
        SHAPE,
        "torch",
        "reshape",
        r"shape '\[(?P<expected>[-\d, ]*)\]' is invalid for input of size (?P<got>\d+)",
    ),
    (
        SHAPE,
        "torch",
        "cat",
        r"Sizes of tensors must match except in dimension (?P<dimension>\d+)\. "
        r"(?:Expected size|Got) (?P<expected>\d+) (?:but got size|and) (?P<got>\d+)",
    ),
    (
        SHAPE,
        "torch",
        "stack",
        rf"stack expects each tensor to be equal size, but got {_shape('expected')} at "
        rf"entry \d+ and {_shape('got')} at entry",
    ),
    (
        SHAPE,
        "torch",
        "index",
        rf"The shape of the mask {_shape('got')} at index (?P<dimension>\d+) does not match "
        rf"the shape of the indexed tensor {_shape('expected')} at index",
    ),
    (
        SHAPE,
        "torch",
        "conv",
        r"expected input\[[\d, ]*\] to have (?P<expected>\d+) channels, but got "
        r"(?P<got>\d+) channels",
    ),
    (
        SHAPE,
        "torch",
        "batch_norm",
        r"running_(?:mean|var) should contain (?P<got>\d+) elements not (?P<expected>\d+)",
    ),
    (
        SHAPE,
        "torch",
        "layer_norm",
        rf"Given normalized_shape={_shape('expected')}, expected input with shape "
        rf"\[[*\d, ]*\], but got input of size{_shape('got')}",
    ),
    (
        SHAPE,
        "torch",
        "rnn",
        r"input\.size\(-1\) must be equal to input_size\. Expected (?P<expected>\d+), got "
        r"(?P<got>\d+)",
    ),
    (
        SHAPE,
        "torch",
        "loss",
        r"Expected input batch_size \((?P<got>\d+)\) to match target batch_size "
        r"\((?P<expected>\d+)\)",
    ),
    (
        SHAPE,
        "torch",
        "loss",
        rf"Using a target size \(torch\.Size\({_shape('got')}\)\) that is different to the "
        rf"input size \(torch\.Size\({_shape('expected')}\)\)",
    ),
    # ---- PyTorch: numbers of dimensions ----
    (
        DIMENSIONS,
        "torch",
        None,
        r"Dimension out of range \(expected to be in range of "
        r"(?P<expected>\[-?\d+, -?\d+\]), but got (?P<got>-?\d+)\)",
    ),
    (
        DIMENSIONS,
        "torch",
        "cat",
        r"Tensors must have same number of dimensions: got (?P<expected>\d+) and "
        r"(?P<got>\d+)",
    ),
    (
        DIMENSIONS,
        "torch",
        "bmm",
        r"batch[12] must be a (?P<expected>\d)D tensor",
    ),
    (
        DIMENSIONS,
        "torch",
        "mm",
        r"(?:self|mat1|mat2) must be a matrix(?:, got (?P<got>\d+)-D tensor)?",
    ),
    (
        DIMENSIONS,
        "torch",
        None,
        r"Expected (?P<expected>\dD \(unbatched\) or \dD \(batched\)) input to "
        rf"(?P<operation>\w+), but got input of size: {_shape('got')}",
    ),
    (
        DIMENSIONS,
        "torch",
        "expand",
        r"the number of sizes provided \((?P<got>\d+)\) must be greater or equal to the "
        r"number of dimensions in the tensor \((?P<expected>\d+)\)",
    ),
    (
        DIMENSIONS,
        "torch",
        "permute",
        r"number of dimensions in the tensor input does not match the length of the desired "
        r"ordering of dimensions i\.e\. input\.dim\(\) = (?P<expected>\d+) is not equal to "
        r"len\(dims\) = (?P<got>\d+)",
    ),
    # ---- PyTorch: devices ----
    (
        DEVICE,
        "torch",
        None,
        r"Expected all tensors to be on the same device, but found at least two devices, "
        r"(?P<expected>[\w:]+) and (?P<got>[\w:]+)",
    ),
    (
        DEVICE,
        "torch",
        None,
        r"Expected all tensors to be on the same device, but got \w+ is on "
        r"(?P<got>[\w:]+), different from other tensors on (?P<expected>[\w:]+)",
    ),
    (
        DEVICE,
        "torch",
        None,
        r"Tensor on device (?P<got>[\w:]+) is not on the expected device "
        r"(?P<expected>[\w:]+)!",
    ),
    (
        DEVICE,
        "torch",
        "index",
        r"indices should be either on \w+ or on the same device as the indexed tensor "
        r"\((?P<expected>[\w:]+)\)",
    ),
    (
        DEVICE,
        "torch",
        "numpy",
        r"can't convert (?P<got>[\w:]+) device type tensor to numpy\. Use "
        r"Tensor\.(?P<expected>cpu)\(\)",
    ),
    (
        DEVICE,
        "torch",
        None,
        r"Input type \((?P<got>torch\.cuda\.\w+)\) and (?:weight|bias) type "
        r"\((?P<expected>torch\.[A-Z]\w+)\) should be the same",
    ),
    (
        DEVICE,
        "torch",
        None,
        r"Input type \((?P<got>torch\.[A-Z]\w+)\) and (?:weight|bias) type "
        r"\((?P<expected>torch\.cuda\.\w+)\) should be the same",
    ),
    # ---- PyTorch: types of elements ----
    (
        DTYPE,
        "torch",
        "conv",
        r"Input type \((?P<got>[\w:. ]+)\) and (?:weight|bias) type "
        r"\((?P<expected>[\w:. ]+)\) should be the same",
    ),
    (
        DTYPE,
        "torch",
        None,
        r"expected scalar type (?P<expected>\w+) but found (?P<got>\w+)",
    ),
    (
        DTYPE,
        "torch",
        "matmul",
        r"expected m1 and m2 to have the same dtype, but got: (?P<expected>[\w ]+) != "
        r"(?P<got>[\w ]+)",
    ),
    (
        DTYPE,
        "torch",
        "matmul",
        r"mat1 and mat2 must have the same dtype"
        r"(?:, but got (?P<expected>\w+) and (?P<got>\w+))?",
    ),
    (
        DTYPE,
        "torch",
        "dot",
        r"dot : expected both vectors to have same dtype, but found (?P<expected>\w+) and "
        r"(?P<got>\w+)",
    ),
    (
        DTYPE,
        "torch",
        "mv",
        r"addmv input tensors must have the same dtype, but got (?P<got>[\w ,]+\w)",
    ),
    (
        DTYPE,
        "torch",
        None,
        r"\b(?P<operation>linalg\.\w+): Expected A and B to have the same dtype, but found A "
        r"of type (?P<expected>\w+) and B of type (?P<got>\w+)",
    ),
    (
        DTYPE,
        "torch",
        None,
        r"\b(?P<operation>linalg\.\w+): Expected (?P<expected>a floating point or complex) "
        r"tensor as input\. Got (?P<got>\w+)",
    ),
    (
        DTYPE,
        "torch",
        None,
        r"\b(?P<operation>\w+)\(\): could not infer output dtype\. Input dtype must be either "
        r"(?P<expected>a floating point or complex) dtype\. Got: (?P<got>\w+)",
    ),
    (
        DTYPE,
        "torch",
        None,
        r"\b(?P<operation>\w+)\(\): Expected dtype (?P<expected>int\d+(?:(?: or |/)int\d+)?) "
        r"for index",
    ),
    (
        DTYPE,
        "torch",
        None,
        r"\b(?P<operation>\w+)\(\): Expected self\.dtype to be equal to src\.dtype",
    ),
    (
        DTYPE,
        "torch",
        "index_put",
        r"Index put requires the source and destination dtypes match, got "
        r"(?P<expected>\w+) for the destination and (?P<got>\w+) for the source",
    ),
    (
        DTYPE,
        "torch",
        "where",
        r"where expected condition to be a (?P<expected>boolean) tensor, but got a tensor "
        r"with dtype (?P<got>\w+)",
    ),
    (
        DTYPE,
        "torch",
        "cast",
        r"result type (?P<got>\w+) can't be cast to the desired output type "
        r"(?P<expected>\w+)",
    ),
    (
        DTYPE,
        "torch",
        None,
        r"Expected tensor for argument #\d+ '\w+' to have one of the following scalar types: "
        r"(?P<expected>[\w, ]+); but got (?P<got>[\w.]+) instead \(while checking arguments "
        r"for (?P<operation>\w+)\)",
    ),
    (
        DTYPE,
        "torch",
        "loss",
        r"expected target dtype to be (?P<expected>[\w ]+), but got (?P<got>\w+)",
    ),
    (
        DTYPE,
        "torch",
        "rnn",
        r"RNN input dtype \((?P<got>[\w.]+)\) does not match weight dtype "
        r"\((?P<expected>[\w.]+)\)",
    ),
    (DTYPE, "torch", "batch_norm", r"mixed dtype \(\w+\): "),
    # ---- PyTorch: memory ----
    (
        MEMORY,
        "torch",
        "allocate",
        r"(?P<backend>CUDA|HIP|MPS|XPU)(?: backend)? out of memory.*?"
        rf"(?:Tried to allocate|Requested size:) (?P<requested>{SIZE})",
    ),
    (
        MEMORY,
        "torch",
        "allocate",
        r"(?P<backend>CUDA|HIP|MPS|XPU)(?: error:| backend)? out of memory",
    ),
    (
        MEMORY,
        "torch",
        "allocate",
        r"DefaultCPUAllocator: (?:can't allocate memory|not enough memory): you tried to "
        r"allocate (?P<requested>\d+ bytes)",
    ),
)
