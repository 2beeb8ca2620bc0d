# SPDX-License-Identifier: MIT
"""The showcase: an adapter whose tools do a little of everything, for real."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .showcase_adapter import ShowcaseAdapter

__all__ = ["ShowcaseAdapter"]


def __getattr__(name):
    if name == "ShowcaseAdapter":
        from .showcase_adapter import ShowcaseAdapter

        return ShowcaseAdapter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
