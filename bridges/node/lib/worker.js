// SPDX-License-Identifier: MIT
//
// A worker process: open the connections the host left, load the adapter, serve.
//
//     node snakepit_worker.js --adapter SPEC [--listen ADDRESS] [ADAPTER ARGUMENTS]
//
// What is not known here is the adapter's and stands in process.argv from 2 on. A worker
// that cannot load its adapter tells the host why before it ends with status 1.
'use strict';

const { signals } = require('node:os').constants;
const native = require('./native.js');
const serve = require('./serve.js');
const { describe } = require('./failures.js');
const { load, collect } = require('./tools.js');
const resolve = require('./resolve.js');

const INHERITED = [
  'SNAKEPIT_CALL_FD',
  'SNAKEPIT_HOST_FD',
  'SNAKEPIT_PAGE_FD',
  'SNAKEPIT_MEMORY_FD',
  'SNAKEPIT_CALL_IN_FD',
  'SNAKEPIT_CALL_OUT_FD',
];
const USAGE = `usage: snakepit_worker.js [--adapter SPEC] [--listen ADDRESS] [ARGUMENT ...]

  --adapter SPEC     showcase (the default), path/to/file.js (.mjs, .cjs), a package, each
                     with :Name for an export of that name
  --listen ADDRESS   serve gRPC clients on unix:/path or 127.0.0.1:port instead of the
                     sockets a host leaves; port 0 takes a free one and prints it
`;

// {adapter, listen, rest}
function parse(words) {
  const found = { adapter: 'showcase', listen: process.env.SNAKEPIT_LISTEN, rest: [] };
  for (let i = 0; i < words.length; i++) {
    const [, name, , value] = /^--(adapter|listen|help)(=(.*))?$/s.exec(words[i]) ?? [];
    if (name === undefined) {
      found.rest.push(words[i]);
    } else if (name === 'help') {
      process.stdout.write(USAGE);
      process.exit(0);
    } else {
      found[name] = value ?? words[++i];
      if (found[name] === undefined) {
        process.stderr.write(`snakepit_worker.js: --${name} needs a value\n`);
        process.exit(2);
      }
    }
  }
  return found;
}

const LISTENING = 100; // calls at once of a worker that no pool limits

// How many calls may be open: what the pool says, at most what the adapter is made for.
function concurrencyOf(adapter, listen) {
  const said =
    process.env.SNAKEPIT_WORKER_CONCURRENCY ?? (listen === undefined ? 1 : LISTENING);
  delete process.env.SNAKEPIT_WORKER_CONCURRENCY;
  const most =
    adapter.maxConcurrency ?? adapter.constructor?.maxConcurrency ?? Infinity;
  if (!(most >= 1))
    throw new RangeError(`maxConcurrency must be at least 1, not ${most}`);
  return Math.min(Number(said), most);
}

// The worker cannot start: tell the host, and whoever reads stderr too.
function refuse(failure, isPermanent) {
  const { type, message, trace } = describe(failure);
  process.stderr.write(`${trace ?? `${type}: ${message}`}\n`);
  native.refuse(isPermanent, type, message, trace);
  native.close();
  process.exit(1);
}

// The signal on which the process writes its stack; 0: none.
function stackSignal() {
  const name = process.env.SNAKEPIT_STACK_SIGNAL ?? 'SIGQUIT';
  if (['', '0', 'none'].includes(name)) return 0;
  const number = /^\d+$/.test(name)
    ? Number(name)
    : signals[name.startsWith('SIG') ? name : `SIG${name}`];
  if (number === undefined)
    throw new RangeError(`SNAKEPIT_STACK_SIGNAL: no signal named "${name}"`);
  return number;
}

function openWorker(options, listen) {
  native.open({
    runtime: `node ${process.versions.node}`,
    listen,
    stackSignal: stackSignal(),
    ...options,
  });
  for (const name of INHERITED) delete process.env[name]; // no child's
}

async function end(adapter) {
  try {
    await adapter.cleanup?.();
  } catch (failure) {
    process.stderr.write(`${describe(failure).trace}\n`);
  }
  native.close();
  process.exit();
}

// Nobody knows what an exception outside of every call has left undone.
function onUncaught(failure) {
  const { type, message, trace } = describe(failure);
  process.stderr.write(`uncaught: ${trace ?? `${type}: ${message}`}\n`);
  serve.failAll(failure);
  native.close();
  process.exit(1);
}

function onSessionEnd(adapter, session) {
  try {
    const done = adapter.onSessionEnd?.(session);
    done?.catch?.((failure) => process.stderr.write(`${describe(failure).trace}\n`));
  } catch (failure) {
    process.stderr.write(`${describe(failure).trace}\n`);
  }
}

async function main(words = process.argv.slice(2)) {
  const { adapter: spec, listen, rest } = parse(words);
  process.argv.splice(2, Infinity, ...rest);
  resolve.install();
  let adapter = null;
  let failure = null;
  let isPermanent = true;
  let tools = [];
  let jobsMax = 1;
  try {
    adapter = await load(spec);
    tools = collect(adapter);
    jobsMax = concurrencyOf(adapter, listen);
    isPermanent = false; // what initialize() lacks now it may have another time
    await adapter.initialize?.();
  } catch (thrown) {
    failure = thrown;
  }
  openWorker(
    {
      jobsMax,
      onJob: serve.onJob,
      onTurn: serve.onTurn,
      onAnswer: serve.onAnswer,
      onOver: () => void end(adapter),
      onSessionEnd: (session) => onSessionEnd(adapter, session),
    },
    listen,
  );
  if (failure !== null) refuse(failure, isPermanent);
  serve.setTools(tools, adapter);
  for (const tool of tools) native.addTool(tool);
  if (typeof adapter.fallback === 'function') native.acceptAny();
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => native.stop());
  process.on('uncaughtException', onUncaught);
  native.announce();
  const address = native.address();
  if (address !== undefined) console.log(`snakepit worker: listening on ${address}`);
}

module.exports = { main, parse };
