// SPDX-License-Identifier: MIT
//
// The adapter that comes with the package: a little of everything a tool can be.
'use strict';

const crypto = require('node:crypto');
const os = require('node:os');
const { setTimeout: sleep } = require('node:timers/promises');

const { BadArguments } = require('../index.js');

const began = Date.now();
let calls = 0;

function number(name, value) {
  if (typeof value !== 'number')
    throw new BadArguments(`${name} must be a number, not ${typeof value}`);
  return value;
}

function oneOf(what, name, known) {
  const found = Object.hasOwn(known, name) ? known[name] : undefined;
  if (found === undefined) {
    throw new BadArguments(
      `unknown ${what} '${name}'; known: ${Object.keys(known).join(', ')}`,
    );
  }
  return found;
}

function notZero(b) {
  if (b === 0) throw new RangeError('division by zero');
  return b;
}

const OPERATIONS = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => a / notZero(b),
  modulo: (a, b) => a % notZero(b),
  power: (a, b) => a ** b,
  sqrt: (a) => Math.sqrt(a),
  log: (a, b) => (b ? Math.log(a) / Math.log(b) : Math.log(a)),
  exp: (a) => Math.exp(a),
  min: Math.min,
  max: Math.max,
};

// Two of them in [0, 1) make a normal one (Box and Muller).
function normal(mean, stddev) {
  const radius = Math.sqrt(-2 * Math.log(1 - Math.random()));
  return mean + stddev * radius * Math.cos(2 * Math.PI * Math.random());
}

const RANDOM = {
  uniform: ({ min, max }) => min + Math.random() * (max - min),
  integer: ({ min, max }) => Math.floor(min + Math.random() * (max - min + 1)),
  normal: ({ mean, stddev }) => normal(mean, stddev),
};

const TEXTS = {
  upper: (text) => text.toUpperCase(),
  lower: (text) => text.toLowerCase(),
  reverse: (text) => [...text].reverse().join(''),
  length: (text) => [...text].length,
};

const tools = {
  ping: {
    description: 'Say that the worker is there.',
    idempotent: true,
    params: { message: { type: 'str', default: 'pong' } },
    fn: ({ message }) => ({ status: 'pong', message, timestamp: new Date() }),
  },

  echo: {
    description: 'Give all arguments back.',
    idempotent: true,
    fn: (args) => ({ echoed: args }),
  },

  add: {
    description: 'Add two numbers.',
    idempotent: true,
    params: { a: 'float', b: 'float' },
    fn({ a, b }) {
      calls++;
      return { result: number('a', a) + number('b', b), success: true };
    },
  },

  compute: {
    description: `One of: ${Object.keys(OPERATIONS).join(', ')}.`,
    idempotent: true,
    params: { operation: 'str', a: 'float', b: { type: 'float', default: 0 } },
    fn({ operation, a, b }) {
      const calculate = oneOf('operation', operation, OPERATIONS);
      const result = calculate(number('a', a), number('b', b));
      return { status: 'success', operation, inputs: { a, b }, result };
    },
  },

  random: {
    description: `A random number, of type ${Object.keys(RANDOM).join(', ')}.`,
    params: {
      type: { type: 'str', default: 'uniform' },
      min: { type: 'float', default: 0 },
      max: { type: 'float', default: 1 },
      mean: { type: 'float', default: 0 },
      stddev: { type: 'float', default: 1 },
    },
    fn(args) {
      const { type, min, max } = args;
      if (number('min', min) > number('max', max))
        throw new BadArguments(`min ${min} is above max ${max}`);
      return { status: 'success', type, value: oneOf('type', type, RANDOM)(args) };
    },
  },

  process_text: {
    description: `One of: ${Object.keys(TEXTS).join(', ')}.`,
    idempotent: true,
    params: { text: 'str', operation: { type: 'str', default: 'upper' } },
    fn({ text, operation }) {
      const result = oneOf('operation', operation, TEXTS)(String(text));
      return { success: true, operation, result };
    },
  },

  process_binary: {
    description: 'Size and SHA-256 of bytes.',
    idempotent: true,
    params: { data: 'bytes' },
    fn({ data }) {
      const bytes = Buffer.from(data);
      return {
        size: bytes.length,
        checksum: crypto.createHash('sha256').update(bytes).digest('hex'),
      };
    },
  },

  adapter_info: {
    description: 'What this adapter is.',
    idempotent: true,
    fn: () => ({
      name: 'showcase',
      language: 'javascript',
      runtime: process.version,
      tools: Object.keys(tools),
    }),
  },

  get_stats: {
    description: 'The worker and its machine.',
    fn: () => ({
      adapter: { name: 'showcase', calls, uptime_s: (Date.now() - began) / 1000 },
      system: {
        pid: process.pid,
        memory: process.memoryUsage(),
        processors: os.cpus().length,
      },
    }),
  },

  stream_data: {
    description: 'Count, with a pause of `delay` seconds before each chunk.',
    params: {
      count: { type: 'int', default: 5 },
      delay: { type: 'float', default: 0 },
    },
    async *fn({ count, delay }, ctx) {
      for (let i = 0; i < count; i++) {
        if (delay > 0) await sleep(delay * 1000, undefined, { signal: ctx.signal });
        yield { index: i, is_final: i === count - 1 };
      }
    },
  },

  ping_stream: {
    description: 'So many pings.',
    params: { count: { type: 'int', default: 10 } },
    *fn({ count }) {
      for (let i = 0; i < count; i++) yield { ping: i, timestamp: new Date() };
    },
  },

  concurrent_demo: {
    description: 'Tasks that overlap in one event loop.',
    params: { task_count: { type: 'int', default: 3 } },
    async fn({ task_count: count }, ctx) {
      const task = async (i) => {
        await sleep(10, undefined, { signal: ctx.signal });
        return { task: i, result: i * i };
      };
      return {
        results: await Promise.all(Array.from({ length: count }, (_, i) => task(i))),
      };
    },
  },

  call_host_demo: {
    description: 'Call a tool of the host with the other arguments.',
    async fn({ tool_name: name, ...args }, ctx) {
      return { tool: name, result: await ctx.callHost(name, args) };
    },
  },

  register_variable: {
    description: "Register a variable of the call's session.",
    params: { name: 'str', value: 'any', type: { type: 'str', optional: true } },
    fn: ({ name, value, type }, ctx) =>
      ctx.variables.register(name, value, { type: type ?? undefined }),
  },

  get_variable: {
    description: "A variable of the call's session.",
    params: { name: 'str' },
    fn: ({ name }, ctx) => ctx.variables.get(name),
  },

  set_variable: {
    description: "Set a variable of the call's session; gives its version.",
    params: { name: 'str', value: 'any' },
    fn: ({ name, value }, ctx) => ctx.variables.set(name, value),
  },
};

module.exports = { tools };
