// SPDX-License-Identifier: MIT
//
// What Node.js brings itself: `add` in a child process over its IPC channel.
//
//     node node_ipc.js --in-flight K --warm-ms MS --measure-ms MS
//
// A closed loop as in measure.h: K calls in flight to one child, each answer starts the
// next. Prints one line of JSON with rate, p50_us and p99_us.
'use strict';

const { fork } = require('node:child_process');
const { performance } = require('node:perf_hooks');

function serve() {
  process.on('message', ({ id, a, b }) => process.send({ id, result: a + b }));
}

function option(name, otherwise) {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : Number(process.argv[at + 1]);
}

function measure() {
  const inFlight = option('in-flight', 64);
  const begin = performance.now() + option('warm-ms', 200);
  const end = begin + option('measure-ms', 1000);
  const child = fork(__filename, ['child']);
  const began = new Map();
  const latencies = [];
  let next = 0;
  const call = () => {
    const id = next++;
    began.set(id, performance.now());
    child.send({ id, a: id, b: 3 });
  };
  child.on('message', ({ id, result }) => {
    const now = performance.now();
    if (result !== id + 3) throw new Error(`${id} + 3 is not ${result}`);
    if (now >= begin && now < end) latencies.push(now - began.get(id));
    began.delete(id);
    if (now < end) return call();
    if (began.size > 0) return undefined;
    latencies.sort((x, y) => x - y);
    const at = (share) => latencies[Math.floor(latencies.length * share)] * 1000;
    console.log(JSON.stringify({
      what: 'node_ipc',
      in_flight: inFlight,
      rate: latencies.length / ((end - begin) / 1000),
      p50_us: at(0.5),
      p99_us: at(0.99),
    }));
    return child.disconnect();
  });
  for (let i = 0; i < inFlight; i++) call();
}

if (process.argv[2] === 'child') serve();
else measure();
