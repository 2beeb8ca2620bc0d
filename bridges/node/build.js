// SPDX-License-Identifier: MIT
//
// Builds the addon of this package for the Node.js that runs this: `npm run build`.
//
// Needed are a C compiler ($CC, else cc), the headers of Node.js (with the interpreter, or
// Debian's libnode-dev) and the installed libsnakepit-worker, which pkg-config finds
// ($PKG_CONFIG_PATH for one elsewhere). Nothing is downloaded.
'use strict';

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const headers = require('./headers.js');

function pkgConfig(...words) {
  const text = execFileSync('pkg-config', [...words, 'snakepit-worker'], {
    encoding: 'utf-8',
  });
  return text.split(/\s+/).filter((word) => word !== '');
}

function build() {
  const include = headers.find();
  if (include === undefined)
    throw new Error('no node_api.h: install libnode-dev, or set NODE_INCLUDE');
  const folder = path.join(__dirname, 'src');
  const sources = fs.readdirSync(folder).filter((name) => name.endsWith('.c'));
  const libraries = pkgConfig('--libs');
  const rpaths = libraries
    .filter((word) => word.startsWith('-L'))
    .map((word) => `-Wl,-rpath,${word.slice(2)}`);
  const output = path.join(__dirname, 'snakepit.node');
  execFileSync(
    process.env.CC ?? 'cc',
    [
      '-std=c11',
      '-O2',
      '-fPIC',
      '-shared',
      '-fvisibility=hidden',
      '-D_GNU_SOURCE',
      '-pthread',
      '-isystem',
      include,
      ...pkgConfig('--cflags'),
      ...sources.map((name) => path.join(folder, name)),
      ...libraries,
      ...rpaths,
      '-o',
      output,
    ],
    { stdio: 'inherit' },
  );
  return output;
}

try {
  console.log(`built ${build()}`);
} catch (failure) {
  console.error(`snakepit-bridge: ${failure.message}`);
  process.exit(1);
}
