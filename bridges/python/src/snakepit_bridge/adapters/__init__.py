# SPDX-License-Identifier: MIT
"""Adapters that come with the package."""
