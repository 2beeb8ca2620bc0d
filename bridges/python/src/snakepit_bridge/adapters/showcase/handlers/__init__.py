# SPDX-License-Identifier: MIT
"""The showcase's tools, one file per kind. Each is imported when it is needed."""
