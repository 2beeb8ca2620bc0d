# SPDX-License-Identifier: MIT
"""The showcase's tools, one file per kind. Each imports what it needs when it is used."""
