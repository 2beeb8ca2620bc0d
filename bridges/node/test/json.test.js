// SPDX-License-Identifier: MIT
'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { encode, encodeText, decode, parseExact } = require('../lib/json.js');
const { Tensor } = require('../lib/tensor.js');

const noParts = () => undefined;

// The marks that the addon would give.
const NUMBERS = 1;
const PARTS = 2;

test('plain values are what JSON.stringify makes of them', () => {
  const values = [
    null,
    true,
    0,
    -1.5,
    1e300,
    '',
    'snåke 🐍',
    '\ud800',
    [],
    {},
    [1, [2]],
    { a: { b: [null] } },
    { a: undefined, b: () => 1 },
    [undefined],
    Object.create(null),
  ];
  for (const value of values) assert.equal(encodeText(value), JSON.stringify(value));
  assert.equal(encodeText(undefined), 'null');
});

test('numbers that JSON has not', () => {
  assert.equal(
    encodeText([NaN, Infinity, -Infinity, -0, 2n ** 80n]),
    `[NaN,Infinity,-Infinity,-0.0,${2n ** 80n}]`,
  );
  assert.equal(encodeText({ a: NaN, b: undefined, c: 'x"' }), '{"a":NaN,"c":"x\\""}');
});

test('objects with a form of their own', () => {
  assert.equal(encodeText(new Date(0)), '"1970-01-01T00:00:00.000Z"');
  assert.equal(
    encodeText({ when: new Date(0) }),
    '{"when":"1970-01-01T00:00:00.000Z"}',
  );
  assert.equal(encodeText(new Map([['a', new Set([1])]])), '{"a":[1]}');
  assert.equal(encodeText({ toJSON: (key) => `was at ${key}` }), '"was at "');
  assert.equal(encodeText([{ toJSON: (key) => key }]), '["0"]');
  class Point {
    x = 1;

    get y() {
      return 2;
    }
  }
  assert.equal(encodeText(new Point()), '{"x":1}');
});

test('circles and depths are errors', () => {
  const circle = [];
  circle.push(circle);
  assert.throws(() => encode(circle), RangeError);
  let deep = 1;
  for (let i = 0; i < 600; i++) deep = [deep];
  assert.throws(() => encode(deep), /512 levels/);
  assert.throws(() => parseExact('['.repeat(600) + ']'.repeat(600)), /512 levels/);
});

test('bytes and large arrays leave beside the text, at multiples of 16', () => {
  const big = Float32Array.from({ length: 5000 }, (_, i) => i);
  const { text, binary } = encode({
    a: Buffer.from('abc'),
    b: big,
    c: [Uint8Array.of(9)],
  });
  const said = JSON.parse(text);
  assert.deepEqual(said.a, { __bytes__: { size: 3 } });
  assert.deepEqual(said.b, { __tensor__: { dtype: '<f4', shape: [5000], at: 16 } });
  assert.equal(said.c[0].__bytes__.at % 16, 0);
  const found = decode(text, PARTS, (name) => (name === '' ? binary : undefined));
  assert.equal(found.a.toString(), 'abc');
  assert.deepEqual(found.b.data, big);
  assert.deepEqual([...found.c[0]], [9]);
});

test('small arrays are lists', () => {
  assert.equal(
    encodeText({
      a: Int16Array.of(1, -2),
      b: new Tensor(Float64Array.of(1, 2, 3, 4), [2, 2]),
    }),
    '{"a":[1,-2],"b":[[1,2],[3,4]]}',
  );
  assert.equal(encodeText(BigInt64Array.of(2n ** 60n)), `[${2n ** 60n}]`);
});

test('bytes have no place where only text goes', () => {
  assert.throws(() => encodeText({ a: Buffer.from('x') }), TypeError);
});

test('exact reading agrees with JSON.parse on what it can read', () => {
  const texts = [
    'null',
    ' [ 1 , 2.5e3 , "a\\u0041\\n" , { "b" : [ ] , "" : { } } ] ',
    '"x"',
    '-0.5',
    'true',
    'false',
    '{"__proto__":1}',
    '[[[]]]',
    '"\\"\\\\"',
    '1E5',
    '9007199254740991',
  ];
  for (const text of texts) assert.deepEqual(parseExact(text), JSON.parse(text), text);
});

test('exact reading of what JSON.parse gets wrong', () => {
  assert.deepEqual(parseExact('[9007199254740993,-123456789012345678901,1e400]'), [
    9007199254740993n,
    -123456789012345678901n,
    Infinity,
  ]);
  const [nan, plus, minus] = parseExact('[NaN, Infinity, -Infinity]');
  assert.ok(Number.isNaN(nan) && plus === Infinity && minus === -Infinity);
  assert.equal(decode('12345678901234567890', NUMBERS, noParts), 12345678901234567890n);
});

test('what is no JSON is refused', () => {
  for (const text of [
    '',
    '[',
    '[1,]',
    '{"a"}',
    '{a:1}',
    '1 2',
    'nul',
    '"',
    '[1 2]',
    '-',
    'tru',
    '{"a":1,}',
  ]) {
    assert.throws(() => parseExact(text), SyntaxError, text);
  }
});

test('random values come back', () => {
  let seed = 12345;
  const random = (n) => {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff;
    return seed % n;
  };
  const make = (depth) => {
    switch (random(depth > 0 ? 9 : 7)) {
      case 0:
        return null;
      case 1:
        return random(2) === 1;
      case 2:
        return random(1000) / 8;
      case 3:
        return -(10n ** 20n) - BigInt(random(1000));
      case 4:
        return String.fromCharCode(random(0xd7ff), 34, 92, random(32));
      case 5:
        return Infinity;
      case 6:
        return random(2000000) - 1000000;
      case 7:
        return Array.from({ length: random(4) }, () => make(depth - 1));
      default:
        return Object.fromEntries(
          Array.from({ length: random(4) }, (_, i) => [`k${i}`, make(depth - 1)]),
        );
    }
  };
  for (let i = 0; i < 2000; i++) {
    const value = make(4);
    assert.deepEqual(parseExact(encodeText(value)), value);
  }
});

test('a list with holes', () => {
  const holes = [1, , 2n];
  assert.equal(encodeText(holes), '[1,null,2]');
  assert.equal(encodeText({ a: [, NaN] }), '{"a":[null,NaN]}');
});

test('a long string beside a number that JSON has not', () => {
  const long = 'x\\'.repeat(4 * 2 ** 20);
  const text = `{"s":${JSON.stringify(long)},"n":NaN,"e":"\\\\","q":"\\""}`;
  const found = decode(text, NUMBERS, noParts);
  assert.ok(found.s === long);
  assert.deepEqual([found.n, found.e, found.q], [NaN, '\\', '"']);
  assert.throws(() => parseExact('["no end\\"]'), SyntaxError);
});
