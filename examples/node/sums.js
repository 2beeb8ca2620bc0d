// SPDX-License-Identifier: MIT
//
// Tools in JavaScript: a plain one, one that waits, a stream, and one that keeps its
// results in the session.
//
//     snakepit call --adapter examples/node/sums.js add a=2 b=3
//     snakepit stream --adapter examples/node/sums.js running_sum 'numbers=[1,2,3]'
'use strict';

const { setTimeout: sleep } = require('node:timers/promises');
const { BadArguments, defineAdapter } = require('snakepit-bridge');

module.exports = defineAdapter({
  tools: {
    add: {
      description: 'The sum of two numbers.',
      params: { a: 'float', b: 'float' },
      idempotent: true,
      fn: ({ a, b }) => a + b,
    },

    add_later: {
      description: 'The same after a while; other calls run meanwhile.',
      params: { a: 'float', b: 'float', seconds: { type: 'float', default: 0.1 } },
      async fn({ a, b, seconds }, ctx) {
        await sleep(seconds * 1000, undefined, { signal: ctx.signal });
        return a + b;
      },
    },

    running_sum: {
      description: 'A chunk for each number: the sum so far.',
      params: { numbers: 'list' },
      *fn({ numbers }) {
        let sum = 0;
        for (const number of numbers) {
          if (typeof number !== 'number')
            throw new BadArguments(`${number} is no number`);
          sum += number;
          yield { number, sum };
        }
      },
    },

    remember: {
      description: "Add to the session's sum, which outlives this worker.",
      params: { number: 'float' },
      async fn({ number }, ctx) {
        const sum = (await ctx.variables.get('sum', 0)) + number;
        await ctx.variables.set('sum', sum, { type: 'float' });
        return { sum };
      },
    },
  },
});
