// SPDX-License-Identifier: MIT
import bridge from './index.js';

export const {
  defineAdapter,
  Tensor,
  telemetry,
  HostError,
  NotFound,
  AlreadyExists,
  BadValue,
  VersionConflict,
  VariableLocked,
  DependencyCycle,
  QuotaExceeded,
  WatchTooSlow,
  ToolNotFound,
  ToolArgumentsError,
  ToolError,
  ToolRecursion,
  HostTimeout,
  Cancelled,
  BadArguments,
} = bridge;
export default bridge;
