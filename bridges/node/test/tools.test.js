// SPDX-License-Identifier: MIT
'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { collect, argumentsFor, split } = require('../lib/tools.js');
const { BadArguments, hostError, NotFound, HostError } = require('../lib/errors.js');
const { describe } = require('../lib/failures.js');
const { iteratorOf } = require('../lib/streams.js');

const names = (adapter) => collect(adapter).map((tool) => tool.name);

test('how an adapter is named', () => {
  assert.deepEqual(split('a.js'), ['a.js', undefined]);
  assert.deepEqual(split('a/b.mjs:Tools'), ['a/b.mjs', 'Tools']);
  assert.deepEqual(split('@scope/name:Tools'), ['@scope/name', 'Tools']);
});

test('functions of a module, methods of a class', () => {
  assert.deepEqual(
    names({ a() {}, b: () => 1, _c() {}, d: 5, initialize() {}, cleanup() {} }),
    ['a', 'b'],
  );
  class Base {
    inherited() {}
  }
  class Adapter extends Base {
    own() {}

    _hidden() {}

    onSessionEnd() {}

    get property() {
      throw new Error('a getter is not read');
    }
  }
  assert.deepEqual(names(new Adapter()), ['own', 'inherited']);
});

test('only what is declared', () => {
  class Adapter {
    static tools = { add: { description: 'Adds.', params: { a: 'int' } } };

    add({ a }) {
      return [this instanceof Adapter, a];
    }

    other() {}
  }
  const [tool, ...rest] = collect(new Adapter());
  assert.equal(rest.length, 0);
  assert.equal(tool.description, 'Adds.');
  assert.deepEqual(tool.fn.call(tool.receiver, { a: 1 }), [true, 1]);
  assert.throws(
    () => collect({ tools: { none: { description: 'x' } } }),
    /'none' has no function/,
  );
});

test('generators are streams', () => {
  const tools = collect({
    tools: {
      a: function* () {},
      b: async function* () {},
      c: async () => {},
      d: { fn: () => {}, stream: true },
    },
  });
  assert.deepEqual(
    tools.map((tool) => tool.streaming),
    [true, true, false, true],
  );
});

test('parameters and what stands for them', () => {
  const [tool] = collect({
    tools: {
      f: {
        fn() {},
        params: {
          a: 'int',
          b: { type: 'float', default: 0.5, description: 'B.' },
          c: { optional: true },
          d: null,
        },
      },
    },
  });
  assert.deepEqual(
    tool.params.map(({ name, type, default: value }) => [name, type, value]),
    [
      ['a', 'int', null],
      ['b', 'float', '0.5'],
      ['c', 'any', 'null'],
      ['d', 'any', null],
    ],
  );
  assert.deepEqual(argumentsFor(tool, { a: 1 }), { a: 1, b: 0.5 });
  assert.deepEqual(argumentsFor(tool, [1, 2]), { a: 1, b: 2 });
  const [loose] = collect({ f() {} });
  assert.deepEqual(argumentsFor(loose, [1, 2]), [1, 2]);
});

test('what is told of an exception', () => {
  class Own extends TypeError {}
  const told = describe(new Own('no', { cause: new RangeError('because') }));
  assert.equal(told.code, 'SP-REMOTE');
  assert.equal(told.type, 'Own');
  assert.match(told.trace, /no[^]*Caused by: RangeError: because/);
  const { causes } = JSON.parse(told.details);
  assert.equal(causes.length, 1);
  assert.equal(causes[0].link, 'cause');
  assert.equal(causes[0].type, 'RangeError');
  assert.equal(causes[0].message, 'because');
  assert.match(causes[0].traceback, /RangeError: because\n +at/);
  const named = new Error('x');
  named.name = 'Special';
  assert.equal(describe(named).type, 'Special');
  assert.deepEqual(describe(undefined), {
    code: 'SP-REMOTE',
    type: 'undefined',
    message: 'undefined',
    trace: null,
    details: null,
  });
  assert.equal(describe(new BadArguments('b')).code, 'SP-BAD-ARGS');
  const circle = new Error('a');
  circle.cause = circle;
  assert.ok(describe(circle).trace.length > 0);
  const many = describe(new AggregateError([new Error('m1'), 'm2'], 'both'));
  assert.deepEqual(
    JSON.parse(many.details).causes.map((each) => [each.link, each.type, each.message]),
    [
      ['member', 'Error', 'm1'],
      ['member', 'string', 'm2'],
    ],
  );
  const known = { causes: [{ link: 'cause', type: 'KeyError', message: 'k' }] };
  const there = hostError('SP-REMOTE', 'm', 'ValueError', 'trace', JSON.stringify(known));
  assert.deepEqual(there.remoteDetails, known);
  assert.deepEqual(
    JSON.parse(describe(new Error('here', { cause: there })).details).causes.map(
      (each) => each.type,
    ),
    ['ToolError', 'ValueError', 'KeyError'],
  );
  const awkward = new Error('x');
  Object.defineProperty(awkward, 'message', {
    get() {
      throw new Error('never');
    },
  });
  assert.equal(describe(awkward).message, 'it cannot be told');
});

test('errors of the host by their codes', () => {
  const error = hostError('SP-NOT-FOUND', 'no such');
  assert.ok(error instanceof NotFound && error instanceof HostError);
  assert.equal(error.name, 'NotFound');
  assert.equal(hostError('SP-OF-TOMORROW', 'x').constructor, HostError);
  const rows = require('../lib/native.js').errors();
  assert.ok(rows.length > 40);
  for (const { code, category, retryable, grpcStatus, hint } of rows) {
    const one = hostError(code, 'm');
    assert.ok(one instanceof HostError);
    assert.deepEqual(
      [one.code, one.category, one.retryable, one.grpcStatus, one.hint],
      [code, category, retryable, grpcStatus, hint],
    );
    assert.notEqual(one.constructor, HostError);
  }
  assert.equal(hostError('SP-QUEUE-FULL', 'x').name, 'QueueFull');
  assert.equal(hostError('SP-INVAL', 'x').name, 'BadValue');
  assert.equal(hostError('SP-QUEUE-FULL', 'x').hint.includes('queue.max'), true);
});

test('what is a stream', () => {
  const generator = (function* () {})();
  assert.equal(iteratorOf(generator), generator);
  assert.ok(iteratorOf((async function* () {})()));
  for (const value of [null, [], 'text', 5, {}, new Map()])
    assert.equal(iteratorOf(value), null);
});
