# SPDX-License-Identifier: MIT
"""BaseAdapter and what goes with it, under the name many adapters import."""

from ..base_adapter import (
    BaseAdapter,
    ParameterSpec,
    ToolMetadata,
    ToolRegistration,
    tool,
)

__all__ = ["BaseAdapter", "ParameterSpec", "ToolMetadata", "ToolRegistration", "tool"]
