// SPDX-License-Identifier: MIT
//
// Prints the folder with node_api.h and uv.h of the interpreter that runs this, or
// nothing. For the build.
'use strict';

const fs = require('fs');
const path = require('path');

const prefix = path.resolve(process.execPath, '..', '..');
const folders = [
  process.env.NODE_INCLUDE,
  path.join(prefix, 'include', 'node'),
  path.join(prefix, 'include', 'nodejs', 'src'),
  '/usr/include/node',
  '/usr/include/nodejs/src',
];

// Without words that an old Node.js would not know: it is asked as well.
function find() {
  return folders.find(function hasHeaders(folder) {
    return folder && fs.existsSync(path.join(folder, 'node_api.h'));
  });
}

if (require.main === module) console.log(find() || '');
module.exports = { find };
