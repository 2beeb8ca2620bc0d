// SPDX-License-Identifier: MIT
//
// What the host answers when it will not do what a call asked of it.
'use strict';

const addon = require('./addon.js');

// The library's table, by codes: {category, retryable, grpcStatus, text, hint}.
let rows;

function rowOf(code) {
  rows ??= new Map(addon().errors().map((row) => [row.code, row]));
  return rows.get(code);
}

class HostError extends Error {
  constructor(
    message,
    code = 'SP-CLOSED',
    remoteType = undefined,
    remoteTrace = undefined,
    remoteDetails = undefined,
  ) {
    super(message);
    this.name = new.target.name;
    this.code = code;
    if (remoteType !== undefined) this.remoteType = remoteType;
    if (remoteTrace !== undefined) this.remoteTrace = remoteTrace;
    if (remoteDetails !== undefined) this.remoteDetails = remoteDetails;
  }

  get category() {
    return rowOf(this.code)?.category ?? 'none';
  }

  // Whether the same call may succeed later.
  get retryable() {
    return rowOf(this.code)?.retryable ?? false;
  }

  get grpcStatus() {
    return rowOf(this.code)?.grpcStatus ?? 2;
  }

  // What to do about it.
  get hint() {
    return rowOf(this.code)?.hint ?? '';
  }
}

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
const classes = { HostError, Cancelled, BadArguments };

// Those of codes that programs tell apart; the others are called by their codes.
const NAMES = {
  'SP-NOT-FOUND': 'NotFound',
  'SP-EXISTS': 'AlreadyExists',
  'SP-INVAL': 'BadValue',
  'SP-BAD-VALUE': 'BadValue',
  'SP-BAD-JSON': 'BadValue',
  'SP-TOO-DEEP': 'BadValue',
  'SP-TOO-BIG': 'BadValue',
  'SP-CONFLICT': 'VersionConflict',
  'SP-LOCKED': 'VariableLocked',
  'SP-CYCLE': 'DependencyCycle',
  'SP-QUOTA': 'QuotaExceeded',
  'SP-STORE-FULL': 'QuotaExceeded',
  'SP-TOO-SLOW': 'WatchTooSlow',
  'SP-TIMEOUT': 'HostTimeout',
  'SP-QUEUE-TIMEOUT': 'HostTimeout',
  'SP-NO-TOOL': 'ToolNotFound',
  'SP-BAD-ARGS': 'ToolArgumentsError',
  'SP-RECURSION': 'ToolRecursion',
  'SP-DEADLOCK': 'ToolRecursion',
  'SP-REMOTE': 'ToolError',
};

function classNamed(name) {
  const made = class extends HostError {};
  Object.defineProperty(made, 'name', { value: name });
  return made;
}

const byCode = new Map();
for (const [code, name] of Object.entries(NAMES)) {
  classes[name] ??= classNamed(name);
  byCode.set(code, classes[name]);
}

// "SP-QUEUE-FULL" as QueueFull.
function nameOf(code) {
  return code
    .split('-')
    .slice(1)
    .map((word) => word[0] + word.slice(1).toLowerCase())
    .join('');
}

// The class of a code: each code of the table has one.
function classOf(code) {
  if (!byCode.has(code)) {
    if (rowOf(code) === undefined) return HostError;
    byCode.set(code, classNamed(nameOf(code)));
  }
  return byCode.get(code);
}

// details: JSON, or undefined
function hostError(code, message, remoteType, remoteTrace, details) {
  if (code === 'SP-CANCELLED') return new Cancelled(message);
  const known = details === undefined ? undefined : JSON.parse(details);
  return new (classOf(code))(message, code, remoteType, remoteTrace, known);
}

module.exports = { ...classes, classes, hostError };
