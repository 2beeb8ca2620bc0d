// SPDX-License-Identifier: MIT
// A stock gRPC client on Node.js, for one question to a worker that listens.
//
//   node client.js ADDRESS SCENARIO [NOTES]
//
// Prints what it saw as one line of JSON; the test says whether that is right. NOTES is
// where the worker's tools shall tell what happens to them.
'use strict';

const fs = require('fs');
const grpc = require('@grpc/grpc-js');
const { bridge, health } = require('./service.js');

const [address, scenario, notes] = process.argv.slice(2);
const PATIENCE_MS = 60000;
const STRING_VALUE = 'type.googleapis.com/google.protobuf.StringValue';

const options = {
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
};
const credentials = grpc.credentials.createInsecure();
const client = new bridge(address, credentials, options);

const within = (ms) => ({ deadline: Date.now() + ms });

function request(tool_name, args = {}, more = {}) {
  const parameters = {};
  for (const [name, value] of Object.entries(args)) {
    parameters[name] = { type_url: STRING_VALUE, value: Buffer.from(JSON.stringify(value)) };
  }
  return { tool_name, parameters, ...more };
}

// The response or the error of a unary call, whichever comes.
function unary(method, message, ms = PATIENCE_MS, stub = client) {
  let call;
  const done = new Promise((resolve) => {
    call = stub[method](message, new grpc.Metadata(), within(ms), (error, response) =>
      resolve(error ? { code: error.code, details: error.details } : response)
    );
  });
  return { call, done };
}

const resultOf = (response) => JSON.parse(response.result.value.toString());

async function execute(...words) {
  return resultOf(await unary('ExecuteTool', request(...words)).done);
}

// The chunks of a stream, and how it ended.
function readAll(stream) {
  const chunks = [];
  return new Promise((resolve) => {
    stream.on('data', (chunk) => chunks.push(chunk));
    stream.on('error', () => {});
    stream.on('status', ({ code, details }) => resolve({ chunks, code, details }));
  });
}

const dataOf = (chunks) =>
  chunks.filter((chunk) => chunk.data.length > 0).map((chunk) => JSON.parse(chunk.data));

// The test says when: something has happened in the worker.
const told = () => new Promise((resolve) => process.stdin.once('data', resolve));

const scenarios = {
  ping: () => unary('Ping', { message: 'hello' }).done,

  add: () => execute('add', { a: 2, b: 40 }),

  seen: () =>
    execute(
      'seen',
      { part: 0.5, text: 'snåke 🐍', flag: true, nothing: null, list: [1, { two: 2 }] },
      { session_id: 'ann', metadata: { correlation_id: 'sp-1' } }
    ),

  many: async () => {
    const calls = [];
    for (let i = 0; i < 500; i++) calls.push(execute('add', { a: i, b: i }));
    return (await Promise.all(calls)).map((answer) => answer.result);
  },

  large: async () => {
    const { text } = await execute('repeat', { text: 'x'.repeat(4 << 20), times: 2 });
    return { length: text.length, is_right: text === 'x'.repeat(8 << 20) };
  },

  stream: async () => {
    const message = request('stream_fibonacci', { count: 200 }, { stream: true });
    const seen = await readAll(client.ExecuteStreamingTool(message, within(PATIENCE_MS)));
    return {
      code: seen.code,
      indexes: dataOf(seen.chunks).map((chunk) => chunk.index),
      is_final: seen.chunks[seen.chunks.length - 1].is_final,
      first_id: seen.chunks[0].chunk_id,
    };
  },

  exception: async () => {
    const message = request('error_demo', { error_type: 'value' });
    const response = await unary('ExecuteTool', message).done;
    return { success: response.success, told: JSON.parse(response.error_message) };
  },

  broken_stream: async () => {
    const seen = await readAll(client.ExecuteStreamingTool(request('break_off')));
    return { code: seen.code, details: seen.details, chunks: dataOf(seen.chunks) };
  },

  unknown_tool: () => unary('ExecuteTool', request('ad')).done,

  unknown_method: () =>
    new Promise((resolve) => {
      const same = (bytes) => bytes;
      const path = '/snakepit.bridge.BridgeService/NoSuchMethod';
      client.makeUnaryRequest(path, same, same, Buffer.alloc(0), (error) =>
        resolve({ code: error.code })
      );
    }),

  deadline: async () => {
    const { code } = await unary('ExecuteTool', request('wait', { path: notes }), 1500).done;
    return { code, next: await scenarios.add() };
  },

  cancel: async () => {
    const { call, done } = unary('ExecuteTool', request('wait', { path: notes }));
    await told();
    call.cancel();
    const { code } = await done;
    return { code, next: await scenarios.add() };
  },

  cancel_stream: async () => {
    const stream = client.ExecuteStreamingTool(request('forever', { path: notes }));
    stream.once('data', () => stream.cancel());
    const { code } = await readAll(stream);
    return { code, next: await scenarios.add() };
  },

  health: async () => {
    const stub = new health(address, credentials);
    const serving = await unary('Check', { service: '' }, PATIENCE_MS, stub).done;
    const unknown = await unary('Check', { service: 'x' }, PATIENCE_MS, stub).done;
    const watch = stub.Watch({ service: '' }, within(PATIENCE_MS));
    const watched = await new Promise((resolve) => watch.once('data', resolve));
    watch.on('error', () => {});
    watch.cancel();
    return { serving: serving.status, unknown: unknown.code, watched: watched.status };
  },

  telemetry: async () => {
    const stream = client.StreamTelemetry(within(PATIENCE_MS));
    const accepted = new Promise((resolve) => stream.once('metadata', resolve));
    stream.write({ toggle: { enabled: true } });
    await accepted;
    const events = [];
    const both = new Promise((resolve) => {
      stream.on('data', (event) => {
        events.push({ name: event.event_parts.join('.'), tool: event.metadata.tool });
        if (events.length === 2) resolve();
      });
    });
    await scenarios.add();
    await both;
    const ended = new Promise((resolve) => stream.on('status', resolve));
    stream.end();
    return { events, code: (await ended).code };
  },
};

scenarios[scenario]().then((seen) => {
  // Written to the end before the process ends, whatever is still open.
  fs.writeSync(1, JSON.stringify(seen) + '\n');
  process.exit(0);
});
