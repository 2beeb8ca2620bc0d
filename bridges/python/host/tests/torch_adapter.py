# SPDX-License-Identifier: MIT
"""A worker that has PyTorch, and is refused by it."""

import torch
from torch_failures import CASES

from snakepit_bridge import BaseAdapter, tool


class Torch(BaseAdapter):
    @tool
    def fail(self, case):
        CASES[case][0]()

    @tool
    def run_out(self):
        """What only a machine with such a device would say; the class is the real one."""
        raise torch.cuda.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of "
            "7.79 GiB of which 0 bytes is free. Process 1 has 5 GiB memory in use."
        )
