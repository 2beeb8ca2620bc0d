#!/usr/bin/env node
// SPDX-License-Identifier: MIT
//
// Starts a Node.js worker: node snakepit_worker.js --adapter SPEC [ARGUMENTS].
'use strict';

const EX_CONFIG = 78; // tells the pool that starting this worker again is useless
const OLDEST = 16;

function start() {
  if (Number(process.versions.node.split('.')[0]) < OLDEST) {
    throw new Error(
      `snakepit-bridge needs Node.js ${OLDEST}, this is ${process.version}`,
    );
  }
  return require('./lib/worker.js').main;
}

let main;
try {
  main = start();
} catch (failure) {
  process.stderr.write(`snakepit_worker.js: ${failure.message}\n`);
  process.exit(EX_CONFIG);
}
main().catch((failure) => {
  process.stderr.write(`snakepit_worker.js: ${failure.stack}\n`);
  process.exit(1);
});
