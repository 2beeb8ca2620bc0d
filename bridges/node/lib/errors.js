// SPDX-License-Identifier: MIT
//
// What the host answers when it will not do what a call asked of it, and how an exception
// of a tool is told.
'use strict';

class HostError extends Error {
  constructor(
    message,
    code = 'SP-CLOSED',
    remoteType = undefined,
    remoteTrace = undefined,
  ) {
    super(message);
    this.name = new.target.name;
    this.code = code;
    if (remoteType !== undefined) this.remoteType = remoteType;
    if (remoteTrace !== undefined) this.remoteTrace = remoteTrace;
  }
}

class NotFound extends HostError {}
class AlreadyExists extends HostError {}
class BadValue extends HostError {}
class VersionConflict extends HostError {}
class VariableLocked extends HostError {}
class DependencyCycle extends HostError {}
class QuotaExceeded extends HostError {}
class WatchTooSlow extends HostError {}
class ToolNotFound extends HostError {}
class ToolArgumentsError extends HostError {}
class ToolError extends HostError {}
class ToolRecursion extends HostError {}
class HostTimeout extends HostError {}

// Nobody waits for the call any more: its caller has left, or its deadline has passed.
class Cancelled extends HostError {
  constructor(message = 'nobody waits for this call any more', code = 'SP-CANCELLED') {
    super(message, code);
  }
}

// A tool throws it before it has done anything: the caller sees SP-BAD-ARGS.
class BadArguments extends TypeError {
  constructor(message) {
    super(message);
    this.name = 'BadArguments';
    this.code = 'SP-BAD-ARGS';
  }
}

// What adapters know of: names of the package.
const classes = {
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

const BY_CODE = {
  'SP-NOT-FOUND': NotFound,
  'SP-EXISTS': AlreadyExists,
  'SP-BAD-VALUE': BadValue,
  'SP-CONFLICT': VersionConflict,
  'SP-LOCKED': VariableLocked,
  'SP-CYCLE': DependencyCycle,
  'SP-QUOTA': QuotaExceeded,
  'SP-TOO-SLOW': WatchTooSlow,
  'SP-NO-TOOL': ToolNotFound,
  'SP-BAD-ARGS': ToolArgumentsError,
  'SP-REMOTE': ToolError,
  'SP-RECURSION': ToolRecursion,
  'SP-DEADLOCK': ToolRecursion,
  'SP-TIMEOUT': HostTimeout,
};

function hostError(code, message, remoteType, remoteTrace) {
  if (code === 'SP-CANCELLED') return new Cancelled(message);
  return new (BY_CODE[code] ?? HostError)(message, code, remoteType, remoteTrace);
}

// ---- telling of an exception ----

const BUILT_IN = new Set([
  'Error',
  'TypeError',
  'RangeError',
  'SyntaxError',
  'ReferenceError',
  'EvalError',
  'URIError',
  'AggregateError',
]);
const CAUSES_MAX = 10;

function className(error) {
  const own = error.constructor?.name;
  return BUILT_IN.has(error.name) && own ? own : String(error.name ?? own ?? 'Error');
}

function stackOf(error) {
  if (!(error instanceof Error)) return String(error);
  return typeof error.stack === 'string'
    ? error.stack
    : `${className(error)}: ${error.message}`;
}

// The stack with those of the causes behind it.
function trace(error) {
  const parts = [stackOf(error)];
  for (const inner of error instanceof AggregateError
    ? error.errors.slice(0, CAUSES_MAX)
    : []) {
    parts.push(`One of: ${stackOf(inner)}`);
  }
  let cause = error.cause;
  while (cause !== undefined && cause !== null && parts.length < CAUSES_MAX) {
    parts.push(`Caused by: ${stackOf(cause)}`);
    cause = cause.cause;
  }
  return parts.join('\n');
}

// {code, type, message, trace} of whatever a tool has thrown.
function describe(thrown) {
  try {
    if (thrown instanceof BadArguments) {
      return {
        code: 'SP-BAD-ARGS',
        type: 'BadArguments',
        message: thrown.message,
        trace: null,
      };
    }
    if (thrown instanceof Error) {
      const message = String(thrown.message);
      return {
        code: 'SP-REMOTE',
        type: className(thrown),
        message,
        trace: trace(thrown),
      };
    }
    const type = thrown === null ? 'null' : typeof thrown;
    return { code: 'SP-REMOTE', type, message: String(thrown), trace: null };
  } catch (failure) {
    // An object whose own properties throw.
    return {
      code: 'SP-REMOTE',
      type: 'Error',
      message: 'it cannot be told',
      trace: null,
    };
  }
}

module.exports = { ...classes, classes, hostError, describe, className };
