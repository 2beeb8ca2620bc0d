// SPDX-License-Identifier: MIT
//
// How an exception of a tool is told: its class, message and stack as texts, and as JSON
// the causes behind it, in the form of sp_error.remote_details in snakepit/error.h.
'use strict';

const { BadArguments, HostError } = require('./errors.js');

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
const TEXT_MAX = 4096; // of a cause's message and of its stack

function className(error) {
  const own = error.constructor?.name;
  return BUILT_IN.has(error.name) && own ? own : String(error.name ?? own ?? 'Error');
}

function typeOf(thrown) {
  if (thrown instanceof Error) return className(thrown);
  return thrown === null ? 'null' : typeof thrown;
}

function messageOf(thrown) {
  return String(thrown instanceof Error ? thrown.message : thrown);
}

function stackOf(thrown) {
  if (!(thrown instanceof Error)) return String(thrown);
  return typeof thrown.stack === 'string'
    ? thrown.stack
    : `${className(thrown)}: ${thrown.message}`;
}

// What was thrown in another process, when this error stands for it.
function elsewhere(thrown) {
  if (!(thrown instanceof HostError) || thrown.remoteType === undefined) return [];
  const told = { link: 'cause', type: thrown.remoteType, message: thrown.message };
  if (thrown.remoteTrace !== undefined) told.traceback = thrown.remoteTrace;
  const further = thrown.remoteDetails?.causes;
  return Array.isArray(further) ? [told, ...further] : [told];
}

// The chain, nearest first, with the members of an AggregateError: [link, thrown] pairs, or
// what is told already.
function chain(thrown) {
  const found = [];
  if (thrown instanceof AggregateError) {
    for (const inner of thrown.errors.slice(0, CAUSES_MAX)) {
      found.push({ link: 'member', thrown: inner });
    }
  }
  const seen = new Set();
  let each = thrown;
  while (each !== undefined && each !== null && !seen.has(each)) {
    if (each !== thrown) found.push({ link: 'cause', thrown: each });
    seen.add(each);
    found.push(...elsewhere(each).map((told) => ({ told })));
    each = each.cause;
  }
  return found.slice(0, CAUSES_MAX);
}

// The stack with those of the causes behind it.
function trace(thrown, causes) {
  const parts = [stackOf(thrown)];
  for (const cause of causes) {
    if (cause.told === undefined) {
      const word = cause.link === 'member' ? 'One of' : 'Caused by';
      parts.push(`${word}: ${stackOf(cause.thrown)}`);
    }
  }
  return parts.join('\n');
}

function detailsOf(causes) {
  if (causes.length === 0) return null;
  const told = causes.map(
    (cause) =>
      cause.told ?? {
        link: cause.link,
        type: typeOf(cause.thrown),
        message: messageOf(cause.thrown).slice(0, TEXT_MAX),
        traceback: stackOf(cause.thrown).slice(0, TEXT_MAX),
      },
  );
  return JSON.stringify({ causes: told });
}

// {code, type, message, trace, details} of whatever a tool has thrown; null for what is
// not known.
function describe(thrown) {
  try {
    if (thrown instanceof BadArguments) {
      const { message } = thrown;
      return { code: 'SP-BAD-ARGS', type: 'BadArguments', message, trace: null };
    }
    const told = {
      code: 'SP-REMOTE',
      type: typeOf(thrown),
      message: messageOf(thrown),
      trace: null,
      details: null,
    };
    if (thrown instanceof Error) {
      const causes = chain(thrown);
      told.trace = trace(thrown, causes);
      told.details = detailsOf(causes);
    }
    return told;
  } catch (failure) {
    // An object whose own properties throw.
    return {
      code: 'SP-REMOTE',
      type: 'Error',
      message: 'it cannot be told',
      trace: null,
      details: null,
    };
  }
}

module.exports = { describe };
