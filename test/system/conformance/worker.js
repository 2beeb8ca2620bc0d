// SPDX-License-Identifier: MIT
//
// The tools of the conformance list (docs/conformance.md), in JavaScript.
'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const { setTimeout: pause } = require('node:timers/promises');

const { Tensor, telemetry } = require('snakepit-bridge');

class ConformanceError extends Error {}

function note(path, word) {
  fs.appendFileSync(path, `${word}\n`);
}

function kindOf(value) {
  if (value === null) return 'null';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'float';
  if (typeof value === 'bigint') return 'integer';
  if (Array.isArray(value)) return 'list';
  if (Buffer.isBuffer(value)) return 'bytes';
  return typeof value === 'object' ? 'map' : typeof value;
}

function fail({ message }) {
  try {
    throw new TypeError('the cause');
  } catch (cause) {
    throw new ConformanceError(message, { cause });
  }
}

function* endless({ path, made }) {
  const file = fs.openSync(made, 'w');
  try {
    for (let i = 1; ; i++) {
      fs.writeSync(file, String(i).padStart(20, '0'), 0);
      yield { i, text: 'x'.repeat(1000) };
    }
  } finally {
    fs.closeSync(file);
    note(path, 'closed');
  }
}

async function sleep({ path, seconds }, ctx) {
  note(path, 'started');
  try {
    await pause(seconds * 1000, undefined, { signal: ctx.signal });
  } catch (failure) {
    note(path, 'cancelled');
    throw failure;
  }
}

function total({ matrix }) {
  const array = matrix instanceof Tensor ? matrix : Tensor.from(matrix);
  return [array.shape, array.data.reduce((sum, element) => sum + element, 0)];
}

module.exports.tools = {
  // ---- values ----
  echo: { params: { value: 'any' }, fn: ({ value }) => value },
  kind: { params: { value: 'any' }, fn: ({ value }) => kindOf(value) },
  add: { params: { a: 'int', b: 'int' }, fn: ({ a, b }) => a + b },
  negate: { params: { value: 'int' }, fn: ({ value }) => -value },
  specials: () => [NaN, Infinity, -Infinity],
  make_bytes: {
    params: { size: 'int' },
    fn: ({ size }) => Uint8Array.from({ length: size }, (_, i) => i),
  },
  take_bytes: {
    params: { data: 'bytes' },
    fn: ({ data }) => [data.length, data.reduce((a, b) => a + b, 0)],
  },
  matrix: {
    params: { rows: 'int', columns: 'int' },
    fn: ({ rows, columns }) =>
      new Tensor(
        Float64Array.from({ length: rows * columns }, (_, i) => i),
        [rows, columns],
      ),
  },
  total: { params: { matrix: 'any' }, fn: total },

  // ---- telemetry ----
  report: {
    params: { name: 'str', amount: 'int', note: 'str' },
    fn: ({ name, amount, note }) => telemetry.emit(name, { amount }, { note }),
  },

  // ---- failures ----
  fail: { params: { message: 'str' }, fn: fail },

  // ---- streams ----
  count: {
    params: { n: 'int' },
    *fn({ n }) {
      for (let i = 0; i < n; i++) yield { i };
    },
  },
  fail_after: {
    params: { n: 'int' },
    async *fn({ n }) {
      for (let i = 0; i < n; i++) yield { i };
      throw new ConformanceError(`after ${n}`);
    },
  },
  endless: { params: { path: 'str', made: 'str' }, fn: endless },

  // ---- time ----
  sleep: { params: { path: 'str', seconds: 'float' }, fn: sleep },
  hang: {
    params: { path: 'str' },
    fn({ path }) {
      note(path, 'started');
      for (;;);
    },
  },
  time_left: (args, ctx) => (ctx.timeLeft() === Infinity ? null : ctx.timeLeft()),

  // ---- the session and the host ----
  session: (args, ctx) => ctx.session,
  metadata: (args, ctx) => ctx.metadata,
  set_variable: {
    params: { name: 'str', value: 'any' },
    fn: ({ name, value }, ctx) => ctx.variables.set(name, value),
  },
  get_variable: {
    params: { name: 'str' },
    fn: ({ name }, ctx) => ctx.variables.get(name),
  },
  call_host: {
    params: { name: 'str', args: 'dict' },
    fn: ({ name, args }, ctx) => ctx.callHost(name, args),
  },
  call_worker: {
    params: { pool: 'str', name: 'str', args: 'dict' },
    fn: ({ pool, name, args }, ctx) => ctx.callTool(name, args, { pool }),
  },

  // ---- the process ----
  say: {
    params: { text: 'str' },
    fn({ text }) {
      console.log(text);
      console.error(text);
      fs.writeSync(1, `${text}\n`);
      return text;
    },
  },
  flood: {
    params: { lines: 'int' },
    fn({ lines }) {
      for (let i = 0; i < lines; i++) {
        console.log(`line ${i} of what nobody reads`);
        console.error(`line ${i} of what nobody reads`);
      }
      return lines;
    },
  },
  pid: () => process.pid,
  child: {
    params: { seconds: 'str' },
    fn({ seconds }) {
      spawn('sleep', [seconds], { stdio: 'ignore' }).unref();
    },
  },
  leave: { params: { code: 'int' }, fn: ({ code }) => process.reallyExit(code) },
  crash: () => process.kill(process.pid, 'SIGSEGV'),
};
