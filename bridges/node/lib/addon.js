// SPDX-License-Identifier: MIT
//
// The addon where it may be missing: outside of a worker the package is loaded too, by
// tests of an adapter for one.
'use strict';

const NOTHING = { listens: () => false, eventsDropped: () => 0, errors: () => [] };
let found;

module.exports = function addon() {
  try {
    found ??= require('./native.js');
  } catch {
    found = NOTHING;
  }
  return found;
};
