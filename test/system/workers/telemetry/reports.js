// SPDX-License-Identifier: MIT
// A tool that reports events: how many of them somebody got.
'use strict';

const { defineAdapter, telemetry } = require('snakepit-bridge');

module.exports = defineAdapter({
  tools: {
    report: {
      params: { name: 'str', count: 'int' },
      fn: ({ name, count }) => {
        let told = 0;
        for (let i = 0; i < count; i += 1) told += telemetry.emit(name, { count: 1 }) ? 1 : 0;
        return { told };
      },
    },
  },
});
