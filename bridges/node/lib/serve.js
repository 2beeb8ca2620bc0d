// SPDX-License-Identifier: MIT
//
// Running calls: what the addon tells, and what is answered.
//
// The normal course: the arguments are read, the tool is called, its result is written,
// all in one go. What gives a promise or a stream is set aside and ends later. A call
// ends once: whoever comes first, the tool or the end of its caller's patience, and not
// before the host has answered what the call has asked.
'use strict';

const native = require('./native.js');
const { encode, decode } = require('./json.js');
const { asBytes } = require('./tensor.js');
const { Context, onAnswer } = require('./context.js');
const { BadArguments } = require('./errors.js');
const { describe } = require('./failures.js');
const { iteratorOf, pump, close } = require('./streams.js');
const { inside, insideStream } = require('./telemetry.js');
const { argumentsFor } = require('./tools.js');

// Calls that are not over and may be told of a turn, by handle.
const calls = new Map();
let table = new Map();
let fallback = null;

// ---- the end of a call ----

function over(context) {
  context._finish();
  calls.delete(context._handle);
}

// Run `end` when the host has answered everything; the job is over then.
function endWith(context, end) {
  const finish = () => {
    if (context._isOver) return;
    over(context);
    end(context._handle);
  };
  if (context._isQuiet) {
    finish();
    return;
  }
  setAside(context);
  context._whenQuiet(finish);
}

function fail(context, thrown) {
  if (context._isOver) return;
  const { code, type, message, trace, details } = describe(thrown);
  endWith(context, (handle) =>
    native.fail(handle, code, type, message, trace, details),
  );
}

function cancel(context) {
  if (context._isOver) return;
  context._abort();
  close(context);
  endWith(context, (handle) => native.fail(handle, 'SP-CANCELLED', null, null, null));
}

function reply(context, value) {
  if (context._isOver) return;
  let found;
  try {
    const isStream =
      value !== null && typeof value === 'object' && typeof value.next === 'function';
    if (isStream) throw new BadArguments(`${context.tool} is a stream: call it as one`);
    const bytes =
      ArrayBuffer.isView(value) || value instanceof ArrayBuffer ? asBytes(value) : null;
    found = bytes === null ? encode(value) : { text: 'null', binary: bytes };
  } catch (failure) {
    fail(context, failure);
    return;
  }
  endWith(context, (handle) => native.reply(handle, found.text, found.binary));
}

// ---- the course of a call ----

function setAside(context) {
  if (context._isAside || context._isOver) return;
  context._isAside = true;
  calls.set(context._handle, context);
  if (native.setAside(context._handle)) cancel(context); // it came too early to be told
}

function endStream(context) {
  endWith(context, (handle) => native.end(handle));
}

function answer(context, value, isStream) {
  const iterator = isStream ? iteratorOf(value) : null;
  if (iterator === null) {
    reply(context, value);
    return;
  }
  setAside(context);
  if (context._isOver) return;
  pump(context, insideStream(context, iterator), { end: endStream, fail, cancel });
}

// The arguments, with the binaries that they speak of in their places; the others join
// them by name.
function argumentsOf(context, text, marks) {
  try {
    if (marks === 0) return text === '' ? {} : JSON.parse(text);
    const spoken = new Set();
    const args = decode(text === '' ? '{}' : text, marks, (name) => {
      spoken.add(name);
      return context.binaries[name];
    });
    if (Array.isArray(args)) return args;
    for (const name of Object.keys(context.binaries)) {
      if (!spoken.has(name)) args[name] = context.binaries[name];
    }
    return args;
  } catch (failure) {
    throw new BadArguments(failure.message);
  }
}

function run(context, tool, text, marks, isStream) {
  const args = argumentsOf(context, text, marks);
  const result =
    tool.isFallback === true
      ? tool.fn.call(tool.receiver, context.tool, args, context)
      : tool.fn.call(tool.receiver, argumentsFor(tool, args), context);
  if (
    result === null ||
    typeof result !== 'object' ||
    typeof result.then !== 'function'
  ) {
    answer(context, result, isStream);
    return;
  }
  setAside(context);
  result.then(
    (value) => {
      if (!context._isOver) answer(context, value, isStream);
    },
    (failure) => fail(context, failure),
  );
}

function onJob(handle, name, text, marks, session, isStream) {
  const context = new Context(handle, name, session);
  try {
    inside(context, () =>
      run(context, table.get(name) ?? fallback, text, marks, isStream),
    );
  } catch (failure) {
    fail(context, failure);
  }
}

// A job that was aside is in hand again: its stream may go on, or nobody waits for it.
function onTurn(handle, isCancelled) {
  const context = calls.get(handle);
  if (context === undefined) {
    native.fail(handle, 'SP-CANCELLED', null, null, null);
    return;
  }
  native.setAside(handle);
  if (isCancelled) {
    cancel(context);
    return;
  }
  const turn = context._turn;
  context._turn = null;
  turn?.();
}

// An exception that no call can be blamed for, unless there is only one. Nobody knows
// what it has left undone, so the worker ends.
function failAll(thrown) {
  const open = [...calls.values()];
  if (open.length === 1) fail(open[0], thrown);
}

function setTools(tools, adapter) {
  table = new Map(tools.map((tool) => [tool.name, tool]));
  if (typeof adapter.fallback === 'function') {
    fallback = { fn: adapter.fallback, receiver: adapter, isFallback: true };
  }
}

module.exports = { onJob, onTurn, onAnswer, setTools, failAll };
