// SPDX-License-Identifier: MIT
//
// What an adapter may need of the package: arrays, and the errors it meets and throws.
'use strict';

const { Tensor } = require('./lib/tensor.js');
const {
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
} = require('./lib/errors.js');

// An adapter as it is: for editors, which then know what stands in it.
function defineAdapter(adapter) {
  return adapter;
}

module.exports = {
  defineAdapter,
  Tensor,
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
};
