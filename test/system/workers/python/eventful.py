# SPDX-License-Identifier: MIT
"""A worker that has something to tell of itself: exceptions in the words of NumPy and
PyTorch, which no test needs to install, collections of garbage, an event of its own."""

import gc

from snakepit_bridge import BaseAdapter, telemetry, tool

MESSAGES = {
    "shape": "operands could not be broadcast together with shapes (2,3) (4,5) ",
    "dimension": "all the input arrays must have same number of dimensions, but the array "
    "at index 0 has 2 dimension(s) and the array at index 1 has 1 dimension(s)",
    "dtype": "mat1 and mat2 must have the same dtype, but got Float and Double",
    "device": "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy "
    "the tensor to host memory first.",
    "memory": "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity "
    "of 7.79 GiB of which 12.00 MiB is free.",
    "other": "nobody knows what this is about",
}


class Eventful(BaseAdapter):
    @tool
    def work(self):
        return 1

    @tool
    def collect(self):
        return gc.collect() >= 0

    @tool
    def report(self):
        return telemetry.emit("model.loaded", {"bytes": 4096}, {"model": "small"})

    @tool
    def fail(self, about):
        raise RuntimeError(MESSAGES[about])
