// SPDX-License-Identifier: MIT
//
// The tools of `languages.py`, as short as in the peers.
'use strict';

module.exports.tools = {
  add: { params: { a: 'int', b: 'int' }, fn: ({ a, b }) => ({ result: a + b }) },
};
