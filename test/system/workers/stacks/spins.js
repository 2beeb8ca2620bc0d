// SPDX-License-Identifier: MIT
// Tools whose stack is looked at while they run, until a file `path`.end is there.
'use strict';

const fs = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');
const { defineAdapter } = require('snakepit-bridge');

function turnRound(path) {
  let turns = 0;
  while (!fs.existsSync(`${path}.end`)) turns += 1;
  return turns >= 0;
}

module.exports = defineAdapter({
  tools: {
    spin: {
      params: { path: 'str' },
      fn: ({ path }) => {
        fs.writeFileSync(path, '');
        return turnRound(path);
      },
    },
    wait: {
      params: { path: 'str' },
      fn: async ({ path }) => {
        fs.writeFileSync(path, '');
        while (!fs.existsSync(`${path}.end`)) await sleep(10);
        return true;
      },
    },
  },
});
