// SPDX-License-Identifier: MIT
//
// What a tool reports of its work: events with figures and facts, and spans.
//
// Events go to whoever listens to the worker's telemetry, as it wishes. While nobody does an
// event costs a call of the addon, and a span is a call of its function. Otherwise calls run
// in an AsyncLocalStorage, so that an event knows its call and its span also behind an
// await.
'use strict';

const { AsyncLocalStorage } = require('node:async_hooks');
const { randomBytes } = require('node:crypto');

const native = require('./addon.js');

const CORRELATION_HEADER = 'x-snakepit-correlation-id';
const MESSAGE_MAX = 1024;

// {context, traceId, spanId, correlationId} of what runs; the last three may be missing.
const place = new AsyncLocalStorage();

// Run a call so that its events know it.
function inside(context, run) {
  return native().listens() ? place.run({ context }, run) : run();
}

// The same of a stream, whose code goes on with each of its turns.
function insideStream(context, iterator) {
  if (!native().listens()) return iterator;
  const at = { context };
  const inner = {};
  for (const name of ['next', 'return', 'throw']) {
    if (typeof iterator[name] === 'function') {
      inner[name] = (value) => place.run(at, () => iterator[name](value));
    }
  }
  return inner;
}

function said(context, key) {
  return context === undefined || context._isOver ? undefined : context.metadata[key];
}

function asJson(object) {
  if (object === undefined || object === null) return undefined;
  return JSON.stringify(object, (key, value) =>
    typeof value === 'bigint' ? Number(value) : value,
  );
}

function send(name, measurements, metadata, at, mark) {
  const context = at?.context;
  const handle = context !== undefined && !context._isOver ? context._handle : undefined;
  const known =
    at?.spanId === undefined
      ? metadata
      : { trace_id: at.traceId, span_id: at.spanId, ...metadata };
  return native().emit(
    handle,
    name,
    asJson(measurements),
    asJson(known),
    at?.correlationId ?? said(context, CORRELATION_HEADER),
    mark,
  );
}

// Report an event; true when somebody gets it.
function emit(name, measurements, metadata, options) {
  if (!native().wants(String(name))) return false;
  const at = { ...place.getStore() };
  at.correlationId = options?.correlationId ?? at.correlationId;
  return send(String(name), measurements, metadata, at);
}

// ---- spans ----

// What a new span is inside of: a span, or the call's own in the caller's trace.
function parentOf(at) {
  if (at?.spanId !== undefined) return { traceId: at.traceId, parentId: at.spanId };
  const parts = (said(at?.context, 'traceparent') ?? '').split('-');
  return parts.length === 4 && parts[1].length === 32
    ? { traceId: parts[1], parentId: parts[2] }
    : { traceId: randomBytes(16).toString('hex'), parentId: undefined };
}

class Span {
  constructor(name, metadata, options) {
    const outside = place.getStore();
    const { traceId, parentId } = parentOf(outside);
    this.name = name;
    this.metadata = parentId === undefined ? metadata : { ...metadata, parent_id: parentId };
    this.at = {
      context: outside?.context,
      traceId,
      spanId: randomBytes(8).toString('hex'),
      correlationId:
        options?.correlationId ??
        outside?.correlationId ??
        said(outside?.context, CORRELATION_HEADER) ??
        randomBytes(16).toString('hex'),
    };
    this.begun = process.hrtime.bigint();
    this.mark = this.#send('start', { system_time: Date.now() * 1e6 }, this.metadata, 0);
  }

  #send(stage, measurements, metadata, mark) {
    return send(`${this.name}.${stage}`, measurements, metadata, this.at, mark);
  }

  #duration() {
    return { duration: Number(process.hrtime.bigint() - this.begun) };
  }

  end() {
    this.#send('stop', this.#duration(), this.metadata, this.mark);
  }

  fail(thrown) {
    const facts = {
      error_type: thrown?.constructor?.name ?? typeof thrown,
      error_message: String(thrown?.message ?? thrown).slice(0, MESSAGE_MAX),
    };
    this.#send('exception', this.#duration(), { ...this.metadata, ...facts }, this.mark);
  }
}

// span(name, fn), span(name, metadata, fn, options): what fn gives. `name.start` before it,
// and `name.stop` or `name.exception` after it, or after the promise it gives.
function span(name, metadata, fn, options) {
  const run = typeof metadata === 'function' ? metadata : fn;
  if (!native().listens()) return run();
  const facts = typeof metadata === 'function' ? undefined : metadata;
  const open = new Span(String(name), facts, options);
  let result;
  try {
    result = place.run(open.at, run);
  } catch (thrown) {
    open.fail(thrown);
    throw thrown;
  }
  if (typeof result?.then !== 'function') {
    open.end();
    return result;
  }
  return result.then(
    (value) => {
      open.end();
      return value;
    },
    (thrown) => {
      open.fail(thrown);
      throw thrown;
    },
  );
}

module.exports = {
  inside,
  insideStream,
  telemetry: {
    emit,
    span,
    isEnabled: () => native().listens(),
    droppedCount: () => native().eventsDropped(),
  },
};
