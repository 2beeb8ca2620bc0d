// SPDX-License-Identifier: MIT
//
// Loads the addon. Node brings an nghttp2 of its own, whose functions the addon's library
// must not meet by their names: RTLD_DEEPBIND lets it look among its own libraries first.
'use strict';

const os = require('node:os');
const path = require('node:path');

const FILE = path.join(__dirname, '..', 'snakepit.node');
const { RTLD_NOW, RTLD_DEEPBIND = 0 } = os.constants.dlopen;

function load() {
  const holder = { exports: {} };
  try {
    process.dlopen(holder, FILE, RTLD_NOW | RTLD_DEEPBIND);
  } catch (failure) {
    throw new Error(
      `snakepit-bridge: ${FILE} cannot be loaded (${failure.message}); ` +
        '`npm run build` in its folder builds it for this Node.js',
    );
  }
  return holder.exports;
}

module.exports = load();
