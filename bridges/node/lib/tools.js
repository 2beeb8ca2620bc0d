// SPDX-License-Identifier: MIT
//
// From an adapter as its author writes it to the table of tools that is announced.
//
// An adapter is a module, an object or a class:
//   - with `tools`: an object of functions and of descriptions
//     {fn, description, params, stream, idempotent}; of a class, a description without
//     `fn` is that of the method of its name
//   - without: every function of the module, every method of the class, whose name does
//     not begin with '_'
'use strict';

const { createRequire } = require('node:module');
const path = require('node:path');
const { pathToFileURL } = require('node:url');

const { encodeText } = require('./json.js');

const SHOWCASE = path.join(__dirname, '..', 'adapters', 'showcase.js');
const LIFE = new Set([
  'constructor',
  'initialize',
  'cleanup',
  'onSessionEnd',
  'fallback',
  'tools',
  'maxConcurrency',
  'default',
  '__esModule',
  'module.exports',
]);
const GENERATORS = new Set(['GeneratorFunction', 'AsyncGeneratorFunction']);

// ---- finding it ----

// [file or package, name of an export or undefined] of "file.js:Name".
function split(spec) {
  const colon = spec.lastIndexOf(':');
  return colon > 0 && /^[\w$]+$/.test(spec.slice(colon + 1))
    ? [spec.slice(0, colon), spec.slice(colon + 1)]
    : [spec, undefined];
}

function fileOf(name) {
  if (name === 'showcase') return SHOWCASE;
  if (/\.(js|mjs|cjs)$/.test(name) || name.startsWith('.') || path.isAbsolute(name)) {
    return path.resolve(name);
  }
  return createRequire(path.join(process.cwd(), 'noname.js')).resolve(name);
}

function isClass(value) {
  return (
    typeof value === 'function' &&
    /^class\b/.test(Function.prototype.toString.call(value))
  );
}

// The adapter of "file.js", "file.mjs:Name", "package", "showcase".
async function load(spec) {
  const [name, wanted] = split(spec);
  const module = await import(pathToFileURL(fileOf(name)).href);
  let found = module.default ?? module;
  if (wanted !== undefined) found = module[wanted] ?? module.default?.[wanted];
  if (isClass(found)) return new found();
  if (typeof found === 'function') return { tools: { [found.name || 'call']: found } };
  if (found === null || typeof found !== 'object') {
    throw new TypeError(
      `${name} has no adapter${wanted === undefined ? '' : ` named ${wanted}`}`,
    );
  }
  return found;
}

// ---- looking at it ----

// The names of an object's functions, those of its classes too.
function functionsOf(adapter) {
  const names = new Set();
  for (
    let at = adapter;
    at !== null && at !== Object.prototype;
    at = Object.getPrototypeOf(at)
  ) {
    for (const name of Object.getOwnPropertyNames(at)) {
      const { value } = Object.getOwnPropertyDescriptor(at, name);
      const isModule = at[Symbol.toStringTag] === 'Module';
      const found = isModule ? at[name] : value;
      if (typeof found === 'function' && !name.startsWith('_') && !LIFE.has(name))
        names.add(name);
    }
  }
  return names;
}

function paramOf(name, said) {
  const { type, description, ...rest } =
    typeof said === 'string' ? { type: said } : (said ?? {});
  const param = {
    name,
    type: type ?? 'any',
    description: description ?? null,
    default: null,
  };
  if (rest.default !== undefined) {
    param.default = encodeText(rest.default);
    param.value = rest.default;
  } else if (rest.optional) {
    param.default = 'null';
  }
  return param;
}

function toolOf(adapter, name, said) {
  const spec = typeof said === 'function' ? { fn: said } : said;
  const fn = spec.fn ?? adapter[name];
  if (typeof fn !== 'function')
    throw new TypeError(`the tool '${name}' has no function`);
  const params = Object.entries(spec.params ?? {}).map(([key, value]) =>
    paramOf(key, value),
  );
  return {
    name,
    fn,
    receiver: spec.fn === undefined || typeof said === 'function' ? adapter : spec,
    description: spec.description ?? null,
    streaming: Boolean(spec.stream ?? GENERATORS.has(fn.constructor.name)),
    idempotent: Boolean(spec.idempotent),
    params,
    defaults: params.filter((param) => param.value !== undefined),
  };
}

// The tools of an adapter, in the order of their names' appearance.
function collect(adapter) {
  const declared = adapter.tools ?? adapter.constructor?.tools;
  if (declared === undefined) {
    return [...functionsOf(adapter)].map((name) =>
      toolOf(adapter, name, { fn: undefined }),
    );
  }
  return Object.entries(declared).map(([name, said]) => toolOf(adapter, name, said));
}

// The arguments as the function gets them: an object, or a list where the caller gave one
// and the tool has not said how its parameters are called.
function argumentsFor(tool, args) {
  let found = args;
  if (Array.isArray(args) && tool.params.length > 0) {
    found = {};
    args.forEach((value, i) => {
      if (i < tool.params.length) found[tool.params[i].name] = value;
    });
  }
  for (const { name, value } of tool.defaults) {
    if (found[name] === undefined) found[name] = value;
  }
  return found;
}

module.exports = { load, collect, argumentsFor, split };
