// SPDX-License-Identifier: MIT
//
// What an adapter may need of the package: arrays, telemetry, and the errors it meets and
// throws.
'use strict';

const { Tensor } = require('./lib/tensor.js');
const { telemetry } = require('./lib/telemetry.js');
const { classes } = require('./lib/errors.js');

// An adapter as it is: for editors, which then know what stands in it.
function defineAdapter(adapter) {
  return adapter;
}

module.exports = { defineAdapter, Tensor, telemetry, ...classes };
