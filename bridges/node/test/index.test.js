// SPDX-License-Identifier: MIT
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const bridge = require('../index.js');

test('what is imported is what is required', async () => {
  const { default: whole, ...names } = await import('../index.mjs');
  assert.equal(whole, bridge);
  assert.deepEqual(names, { ...bridge });
});

test('every value of the package is declared, and no other', () => {
  const text = fs.readFileSync(path.join(__dirname, '..', 'index.d.ts'), 'utf-8');
  const found = text.matchAll(/^export (?:class|function|const) (\w+)/gm);
  const declared = Array.from(found, (match) => match[1]);
  assert.deepEqual(declared.sort(), Object.keys(bridge).sort());
});
