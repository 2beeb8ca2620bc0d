// SPDX-License-Identifier: MIT
//
// `add` in a thread of piscina's pool, one thread.
//
//     node piscina.js --in-flight K --warm-ms MS --measure-ms MS
//
// A closed loop as in measure.h: K calls in flight, each answer starts the next. Prints
// one line of JSON with rate, p50_us and p99_us.
'use strict';

const { performance } = require('node:perf_hooks');
const { Piscina } = require('piscina');

function option(name, otherwise) {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : Number(process.argv[at + 1]);
}

async function measure() {
  const inFlight = option('in-flight', 64);
  const pool = new Piscina({
    filename: require.resolve('./piscina_add.js'),
    minThreads: 1,
    maxThreads: 1,
    concurrentTasksPerWorker: 64,
  });
  await pool.run({ a: 1, b: 3 });
  const begin = performance.now() + option('warm-ms', 200);
  const end = begin + option('measure-ms', 1000);
  const latencies = [];
  let next = 0;
  const line = async () => {
    let now = performance.now();
    while (now < end) {
      const a = next++;
      const began = now;
      const { result } = await pool.run({ a, b: 3 });
      now = performance.now();
      if (result !== a + 3) throw new Error(`${a} + 3 is not ${result}`);
      if (now >= begin && now < end) latencies.push(now - began);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, line));
  await pool.close();
  latencies.sort((x, y) => x - y);
  const at = (share) => latencies[Math.floor(latencies.length * share)] * 1000;
  console.log(JSON.stringify({
    what: 'piscina',
    in_flight: inFlight,
    rate: latencies.length / ((end - begin) / 1000),
    p50_us: at(0.5),
    p99_us: at(0.99),
  }));
}

measure();
