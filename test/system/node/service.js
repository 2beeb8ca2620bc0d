// SPDX-License-Identifier: MIT
// The services of proto/, loaded as any user of @grpc/proto-loader would.
'use strict';

const path = require('path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const proto = path.join(__dirname, '..', '..', '..', 'proto');

function load(file) {
  const options = { keepCase: true, longs: Number, enums: String, defaults: true, oneofs: true,
                    includeDirs: [proto] };
  return grpc.loadPackageDefinition(loader.loadSync(file, options));
}

exports.bridge = load('snakepit/bridge.proto').snakepit.bridge.BridgeService;
exports.health = load('grpc/health/v1/health.proto').grpc.health.v1.Health;
