// SPDX-License-Identifier: MIT
//
// A stock gRPC worker on Node.js: @grpc/grpc-js, @grpc/proto-loader and our proto, nothing
// of snakepit. It serves `add`, `upper`, and `count` as a stream.
//
//     npm install @grpc/grpc-js @grpc/proto-loader
//
//     pools:
//       - runtime: grpc
//         command: [node, grpc_worker.js, "{address}"]
//
// A native worker (sums.js) is faster by far, and hears of sessions and its host; this is
// for programs that are gRPC servers already. PROTO names the folder with the proto.
'use strict';

const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const PROTO = process.env.PROTO ?? path.join(__dirname, '..', '..', 'proto');
const RESULT_TYPE = 'type.googleapis.com/snakepit.map';

const definition = loader.loadSync('snakepit/bridge.proto', {
  keepCase: true,
  longs: Number,
  defaults: true,
  includeDirs: [PROTO],
});
const { BridgeService } = grpc.loadPackageDefinition(definition).snakepit.bridge;

const tools = {
  add: ({ a, b }) => ({ result: a + b }),
  upper: ({ text }) => ({ result: text.toUpperCase() }),
};

function* count({ n }) {
  for (let i = 0; i < n; i++) yield { i };
}

function argumentsOf({ parameters }) {
  const pairs = Object.entries(parameters);
  return Object.fromEntries(
    pairs.map(([name, { value }]) => [name, JSON.parse(value.toString())]),
  );
}

function unknown(tool) {
  return { code: grpc.status.UNIMPLEMENTED, details: `no tool ${tool}` };
}

function executeTool({ request }, answer) {
  const tool = tools[request.tool_name];
  if (tool === undefined) return answer(unknown(request.tool_name));
  try {
    const value = Buffer.from(JSON.stringify(tool(argumentsOf(request))));
    return answer(null, { success: true, result: { type_url: RESULT_TYPE, value } });
  } catch ({ name, message, stack }) {
    const told = { type: name, message, traceback: stack };
    return answer(null, { success: false, error_message: JSON.stringify(told) });
  }
}

// As many chunks as the reader takes, then more when it has drained what there was.
function executeStreamingTool(call) {
  const { tool_name: tool } = call.request;
  if (tool !== 'count') {
    call.emit('error', unknown(tool));
    return;
  }
  const chunks = count(argumentsOf(call.request));
  let number = 0;
  const pump = () => {
    while (!call.cancelled) {
      const { value, done } = chunks.next();
      if (done) {
        call.write({ is_final: true });
        call.end();
        return;
      }
      const chunk = {
        chunk_id: `count-${++number}`,
        data: Buffer.from(JSON.stringify(value)),
      };
      if (!call.write(chunk)) {
        call.once('drain', pump);
        return;
      }
    }
  };
  pump();
}

const server = new grpc.Server();
server.addService(BridgeService.service, {
  Ping: ({ request }, answer) => answer(null, { message: `pong: ${request.message}` }),
  ExecuteTool: executeTool,
  ExecuteStreamingTool: executeStreamingTool,
});
server.bindAsync(
  process.argv[2],
  grpc.ServerCredentials.createInsecure(),
  (failure) => {
    if (failure) throw failure;
    console.log(`listening on ${process.argv[2]}`);
  },
);
