// SPDX-License-Identifier: MIT
'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { telemetry, inside, insideStream } = require('../lib/telemetry.js');

test('without a worker nobody listens, and spans are their functions', async () => {
  assert.equal(telemetry.isEnabled(), false);
  assert.equal(telemetry.emit('x', { n: 1 }), false);
  assert.equal(telemetry.droppedCount(), 0);
  assert.equal(
    telemetry.span('s', () => 5),
    5,
  );
  assert.equal(await telemetry.span('s', { k: 'v' }, async () => 6), 6);
  assert.throws(
    () =>
      telemetry.span('s', () => {
        throw new RangeError('r');
      }),
    RangeError,
  );
  const iterator = [1][Symbol.iterator]();
  assert.equal(insideStream({}, iterator), iterator);
  assert.equal(
    inside({}, () => 7),
    7,
  );
});
