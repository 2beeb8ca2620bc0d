// SPDX-License-Identifier: MIT
// A stock gRPC worker on Node.js: @grpc/grpc-js and our proto, nothing of snakepit.
//
//   node worker.js ADDRESS NOTES
//
// It listens on ADDRESS and writes what happens to its calls into NOTES.
'use strict';

const fs = require('fs');
const grpc = require('@grpc/grpc-js');
const { bridge } = require('./service.js');

const [address, notes] = process.argv.slice(2);
const MESSAGE_MAX = 64 << 20;
const RESULT_TYPE = 'type.googleapis.com/snakepit.map';

const note = (text) => fs.appendFileSync(notes, text + '\n');

class Told extends Error {}

function failure(code, details) {
  return Object.assign(new Error(details), { code, details });
}

const tools = {
  add: ({ a, b }) => ({ result: a + b }),
  echo: (args) => ({ echoed: args }),
  seen: (args, call) => ({
    session_id: call.request.session_id,
    tool_name: call.request.tool_name,
    types: Object.fromEntries(
      Object.entries(call.request.parameters).map(([name, any]) => [name, any.type_url])
    ),
    milliseconds_left: call.getDeadline() - Date.now(),
  }),
  repeat: ({ text, times }) => ({ text: text.repeat(times) }),
  wait: (args, call) =>
    new Promise(() => {
      call.on('cancelled', () => note('cancelled'));
      note('waiting');
    }),
  tell_text: () => {
    throw new Told('the text of a failure, nothing else');
  },
  tell_object: () => {
    throw new Told(
      JSON.stringify({ type: 'RangeError', message: 'too far', traceback: 'at here' })
    );
  },
  abort: ({ status, text }) => {
    throw failure(grpc.status[status], text);
  },
  end_process: ({ status }) => process.exit(status),
};

const argumentsOf = (request) =>
  Object.fromEntries(
    Object.entries(request.parameters).map(([name, any]) => [
      name,
      JSON.parse(any.value.toString()),
    ])
  );

async function executeTool(call, answer) {
  const tool = tools[call.request.tool_name];
  if (tool === undefined) {
    answer(failure(grpc.status.UNIMPLEMENTED, 'no such tool here'));
    return;
  }
  try {
    const result = await tool(argumentsOf(call.request), call);
    const value = Buffer.from(JSON.stringify(result));
    answer(null, { success: true, result: { type_url: RESULT_TYPE, value } });
  } catch (error) {
    if (error instanceof Told) {
      answer(null, { success: false, error_message: error.message });
    } else {
      answer(error);
    }
  }
}

function* count({ count }) {
  for (let i = 0; i < count; i++) yield { i };
}

function* forever() {
  for (let i = 0; ; i++) yield { i, padding: 'x'.repeat(1000) };
}

function* breakOff() {
  yield { i: 0 };
  throw failure(grpc.status.DATA_LOSS, 'nothing more to be had');
}

const streams = { count, forever, break_off: breakOff };

function executeStreamingTool(call) {
  const items = streams[call.request.tool_name](argumentsOf(call.request));
  let number = 0;
  let isOver = false;
  call.on('cancelled', () => {
    isOver = true;
    note('stream cancelled');
  });
  const pump = () => {
    while (!isOver) {
      let item;
      try {
        item = items.next();
      } catch (error) {
        isOver = true;
        call.emit('error', error);
        return;
      }
      if (item.done) {
        isOver = true;
        call.write({ is_final: true });
        call.end();
        return;
      }
      const chunk_id = `${call.request.tool_name}-${++number}`;
      const data = Buffer.from(JSON.stringify(item.value));
      if (!call.write({ chunk_id, data })) {
        call.once('drain', pump);
        return;
      }
    }
  };
  pump();
}

const server = new grpc.Server({
  'grpc.max_receive_message_length': MESSAGE_MAX,
  'grpc.max_send_message_length': MESSAGE_MAX,
});
server.addService(bridge.service, {
  Ping: (call, answer) => answer(null, { message: 'pong: ' + call.request.message }),
  ExecuteTool: executeTool,
  ExecuteStreamingTool: executeStreamingTool,
});
server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
});
