// SPDX-License-Identifier: MIT
'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { Tensor, Parts, readParts } = require('../lib/tensor.js');

const partOf = (bytes) => (name) => (name === 'x' ? bytes : undefined);

test('a tensor knows its elements', () => {
  const tensor = new Tensor(
    Float64Array.from({ length: 6 }, (_, i) => i),
    [2, 3],
  );
  assert.equal(tensor.dtype, '<f8');
  assert.equal(tensor.length, 6);
  assert.equal(tensor.at(1, 2), 5);
  assert.deepEqual(tensor.toArray(), [
    [0, 1, 2],
    [3, 4, 5],
  ]);
  assert.deepEqual(
    Tensor.from([
      [0, 1, 2],
      [3, 4, 5],
    ]),
    tensor,
  );
});

test('shapes of all sorts', () => {
  assert.equal(new Tensor(Float64Array.of(7), []).toArray(), 7);
  assert.deepEqual(new Tensor(new Float64Array(0), [0]).toArray(), []);
  assert.deepEqual(new Tensor(new Float64Array(0), [2, 0]).toArray().length, 0);
  assert.deepEqual(
    new Tensor(
      Int8Array.from({ length: 8 }, (_, i) => i),
      [2, 2, 2],
    ).toArray(),
    [
      [
        [0, 1],
        [2, 3],
      ],
      [
        [4, 5],
        [6, 7],
      ],
    ],
  );
  assert.deepEqual(new Tensor(Uint8Array.of(1, 0), [2], '|b1').toArray(), [
    true,
    false,
  ]);
});

test('what does not fit is refused', () => {
  assert.throws(() => new Tensor(Float64Array.of(1), [2]), /not those of \[2\]/);
  assert.throws(() => new Tensor(Float64Array.of(1), [-1]), /no shape/);
  assert.throws(() => new Tensor(Float64Array.of(1), [1], '<f4'), RangeError);
  assert.throws(() => new Tensor(Float32Array.of(1, 2), [1], '<f8'), TypeError);
  assert.throws(() => new Tensor(Float64Array.of(1), [1], 'f8'), /no dtype/);
});

test('places in a part', () => {
  const bytes = Buffer.from(Float64Array.of(1, 2, 3).buffer);
  const whole = { __tensor__: { dtype: '<f8', shape: [3], part: 'x' } };
  assert.deepEqual(readParts({ a: [whole] }, partOf(bytes)).a[0].toArray(), [1, 2, 3]);
  const second = { __tensor__: { dtype: '<f8', shape: [1], part: 'x', at: 8 } };
  assert.deepEqual(readParts(second, partOf(bytes)).toArray(), [2]);
  // Bytes that do not lie on the elements' boundary are copied.
  const odd = Buffer.concat([Buffer.from('-'), bytes]).subarray(1);
  assert.deepEqual(readParts(whole, partOf(odd)).toArray(), [1, 2, 3]);
  assert.equal(
    readParts(
      { __bytes__: { size: 2, part: 'x', at: 1 } },
      partOf(Buffer.from('abc')),
    ).toString(),
    'bc',
  );
});

test('places that are none', () => {
  const bytes = Buffer.alloc(16);
  const bad = [
    { __tensor__: { dtype: '<f8', shape: [3], part: 'x' } },
    { __tensor__: { dtype: '<f8', shape: [1], part: 'y' } },
    { __tensor__: { dtype: '<f8', shape: [1], part: 'x', at: 9 } },
    { __tensor__: { dtype: '<f8', shape: [1], part: 'x', at: -8 } },
    { __tensor__: { dtype: '<q9', shape: [1], part: 'x' } },
    { __tensor__: { dtype: '<f8', shape: [2 ** 60, 2 ** 60], part: 'x' } },
    { __tensor__: null },
    { __bytes__: { size: 17, part: 'x' } },
    { __bytes__: { size: 1.5, part: 'x' } },
    { __bytes__: { part: 'x' } },
  ];
  for (const value of bad)
    assert.throws(
      () => readParts(value, partOf(bytes)),
      RangeError,
      JSON.stringify(value),
    );
});

test('an object beside other members is no place', () => {
  const value = { __tensor__: { dtype: '?' }, other: 1 };
  assert.equal(readParts(value, partOf(Buffer.alloc(0))).other, 1);
});

test('half and complex numbers are kept as bytes', () => {
  const found = readParts(
    { __tensor__: { dtype: '<f2', shape: [2], part: 'x' } },
    partOf(Buffer.from('abcd')),
  );
  assert.ok(Buffer.isBuffer(found.data));
  assert.match(new Parts('p').putTensor(found), /"part":"p"/);
});
