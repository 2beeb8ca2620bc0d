// SPDX-License-Identifier: MIT
//
// Lets an adapter anywhere say require('snakepit-bridge') and get the package that runs
// it: an adapter needs no package.json and no folder of modules. One that has installed
// the package gets the same, because two copies would have two kinds of every error.
'use strict';

const Module = require('node:module');
const path = require('node:path');
const { pathToFileURL } = require('node:url');

const NAME = 'snakepit-bridge';
const ROOT = path.join(__dirname, '..');

function install() {
  const before = Module._resolveFilename;
  Module._resolveFilename = function resolve(request, ...rest) {
    return request === NAME
      ? path.join(ROOT, 'index.js')
      : before.call(this, request, ...rest);
  };
  // `import` has a hook of its own, where Node.js has synchronous ones.
  Module.registerHooks?.({
    resolve(specifier, context, next) {
      if (specifier !== NAME) return next(specifier, context);
      return {
        url: pathToFileURL(path.join(ROOT, 'index.mjs')).href,
        shortCircuit: true,
      };
    },
  });
}

module.exports = { install };
