// SPDX-License-Identifier: MIT
//
// Prints the folder with node_api.h and uv.h of the interpreter that runs this, or
// nothing. For the build.
'use strict';

const fs = require('node:fs');
const path = require('node:path');

const prefix = path.resolve(process.execPath, '..', '..');
const folders = [
  process.env.NODE_INCLUDE,
  path.join(prefix, 'include', 'node'),
  path.join(prefix, 'include', 'nodejs', 'src'),
  '/usr/include/node',
  '/usr/include/nodejs/src',
];

function find() {
  return folders.find(
    (folder) => folder && fs.existsSync(path.join(folder, 'node_api.h')),
  );
}

if (require.main === module) console.log(find() ?? '');
module.exports = { find };
