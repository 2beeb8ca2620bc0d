// SPDX-License-Identifier: MIT
//
// Streams: what a tool yields, chunk by chunk, as fast as its reader takes it.
//
// The library says of each chunk whether the next may follow. When not, the generator
// rests until the job's next turn. A plain generator runs in slices, so that timers, other
// calls and its own cancellation have their turn as well.
'use strict';

const native = require('./native.js');
const { encode } = require('./json.js');
const { asBytes } = require('./tensor.js');

const SLICE = 256; // chunks of a plain generator in one go

// The iterator of what is a stream, null for any other value: lists are values.
function iteratorOf(value) {
  if (value === null || typeof value !== 'object') return null;
  if (typeof value[Symbol.asyncIterator] === 'function')
    return value[Symbol.asyncIterator]();
  return typeof value.next === 'function' ? value : null;
}

// 1: go on, 0: wait for a turn, -1: nobody listens.
function send(handle, value) {
  const bytes =
    ArrayBuffer.isView(value) || value instanceof ArrayBuffer ? asBytes(value) : null;
  if (bytes !== null) return native.chunk(handle, undefined, bytes);
  const { text, binary } = encode(value);
  return native.chunk(handle, text, binary);
}

// Give all of an iterator, then call end() or fail(exception); or cancel() when nobody
// listens. Nothing is called once the call is over.
function pump(context, iterator, { end, fail, cancel }) {
  let left = SLICE;
  context._iterator = iterator;

  const accept = (step) => {
    if (context._isOver) return false;
    if (step.done) {
      context._iterator = null;
      end(context);
      return false;
    }
    const said = send(context._handle, step.value);
    if (said < 0) cancel(context);
    else if (said === 0) context._turn = advance;
    return said > 0;
  };

  const refuse = (failure) => {
    context._iterator = null;
    if (!context._isOver) fail(context, failure);
  };

  function advance() {
    try {
      for (;;) {
        if (context._isOver) return;
        const step = iterator.next();
        if (typeof step.then === 'function') {
          step.then((found) => accept(found) && advance()).catch(refuse);
          return;
        }
        if (!accept(step)) return;
        if (--left === 0) {
          left = SLICE;
          setImmediate(advance);
          return;
        }
      }
    } catch (failure) {
      refuse(failure);
    }
  }
  advance();
}

// Nobody reads any more: let the generator's finally blocks run.
function close(context) {
  const iterator = context._iterator;
  context._iterator = null;
  try {
    iterator?.return?.()?.catch?.(() => {});
  } catch {
    // Its caller has left: nobody is to be told.
  }
}

module.exports = { iteratorOf, pump, close };
