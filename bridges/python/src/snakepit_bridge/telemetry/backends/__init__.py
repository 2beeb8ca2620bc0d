# SPDX-License-Identifier: MIT
"""Where events can go: the worker's own stream, another stream, or standard error."""

from .base import TelemetryBackend
from .grpc import GrpcBackend
from .stderr import StderrBackend
from .worker import WorkerBackend

__all__ = ["GrpcBackend", "StderrBackend", "TelemetryBackend", "WorkerBackend"]
