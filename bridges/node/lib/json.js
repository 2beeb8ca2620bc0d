// SPDX-License-Identifier: MIT
//
// Values as the host's JSON, which is a little more than JavaScript's: integers of any
// size (BigInt), NaN and the infinities, and bytes and tensors beside the text.
//
// What JSON.stringify and JSON.parse do rightly is left to them, because nothing written
// in JavaScript is as fast: a value is looked through before, and of a text the addon has
// said whether there is anything unusual in it.
'use strict';

const { Parts, asBytes, asTensor, readParts } = require('./tensor.js');

const DEPTH_MAX = 512;
const MARK_NUMBERS = 1;
const MARK_PARTS = 2;

// ---- writing ----

// Whether JSON.stringify writes it as it should.
function isPlain(value, depth) {
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'undefined':
      return true;
    case 'number':
      return Number.isFinite(value);
    case 'object':
      break;
    default:
      return false;
  }
  if (value === null) return true;
  if (depth === 0) return false;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      if (!isPlain(value[i], depth - 1)) return false;
    }
    return true;
  }
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  for (const key in value) {
    if (key === 'toJSON' || !isPlain(value[key], depth - 1)) return false;
  }
  return true;
}

function numberText(value) {
  if (Number.isFinite(value)) return String(Object.is(value, -0) ? '-0.0' : value);
  if (Number.isNaN(value)) return 'NaN';
  return value > 0 ? 'Infinity' : '-Infinity';
}

// What an object without a form of its own is written as.
function plainForm(value, key) {
  if (typeof value.toJSON === 'function') return value.toJSON(key);
  if (value instanceof Map) return Object.fromEntries(value);
  if (value instanceof Set) return [...value];
  if (value instanceof Error) return { name: value.name, message: value.message };
  if (value instanceof Number || value instanceof String || value instanceof Boolean) {
    return value.valueOf();
  }
  return value;
}

// Text of any value, undefined for what JSON leaves out.
function write(value, parts, depth, key) {
  if (depth < 0) {
    throw new RangeError(`nested deeper than ${DEPTH_MAX} levels, or in a circle`);
  }
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value);
    case 'number':
      return numberText(value);
    case 'bigint':
    case 'boolean':
      return String(value);
    case 'object':
      break;
    default:
      return undefined;
  }
  if (value === null) return 'null';
  const bytes = asBytes(value);
  if (bytes !== null) return parts.putBytes(bytes);
  const tensor = asTensor(value);
  if (tensor !== null) {
    return parts.putTensor(tensor) ?? write(tensor.toArray(), parts, depth, key);
  }
  if (Array.isArray(value)) {
    const item = (inner, i) => write(inner, parts, depth - 1, String(i)) ?? 'null';
    return `[${Array.from(value, item).join(',')}]`; // map() would skip holes
  }
  const form = plainForm(value, key);
  if (form !== value) return write(form, parts, depth - 1, key);
  const members = [];
  for (const name of Object.keys(value)) {
    const text = write(value[name], parts, depth - 1, name);
    if (text !== undefined) members.push(`${JSON.stringify(name)}:${text}`);
  }
  return `{${members.join(',')}}`;
}

// The JSON of a value: {text, binary}, the binary undefined when there is none.
// `part` is the name of the binary as the JSON calls it; empty for results and chunks.
function encode(value, part = '') {
  if (isPlain(value, DEPTH_MAX)) {
    const text = value === undefined ? 'null' : JSON.stringify(value);
    return { text, binary: undefined };
  }
  const parts = new Parts(part);
  const text = write(value, parts, DEPTH_MAX, '') ?? 'null';
  return { text, binary: parts.join() };
}

// Only the text, for values that have no place for bytes.
function encodeText(value) {
  const { text, binary } = encode(value);
  if (binary !== undefined) throw new TypeError('bytes cannot be part of this value');
  return text;
}

// ---- reading ----

const NUMBER = /-?(?:Infinity|\d+(\.\d+)?([eE][-+]?\d+)?)|NaN/y;
const SPACE = /[ \t\n\r]*/y;

// A reader for what JSON.parse would get wrong; everything else it leaves to it.
class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  match(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found === null) throw new SyntaxError(`not JSON at ${this.at}`);
    this.at = pattern.lastIndex;
    return found;
  }

  // The next character that is no space.
  peek() {
    this.match(SPACE);
    return this.text[this.at];
  }

  take(wanted) {
    if (this.peek() !== wanted) throw new SyntaxError(`no ${wanted} at ${this.at}`);
    this.at++;
  }

  word(word, value) {
    if (!this.text.startsWith(word, this.at))
      throw new SyntaxError(`not JSON at ${this.at}`);
    this.at += word.length;
    return value;
  }

  number() {
    const [digits, fraction, exponent] = this.match(NUMBER);
    const value = Number(digits);
    if (Number.isSafeInteger(value) || fraction || exponent || !/\d/.test(digits))
      return value;
    return BigInt(digits);
  }

  string() {
    // No pattern: what it must remember of a long string does not fit its stack.
    const begin = this.at;
    let end = begin;
    let escapes = 1;
    while (escapes % 2 === 1) {
      end = this.text.indexOf('"', end + 1);
      if (end < 0 || this.text[begin] !== '"')
        throw new SyntaxError(`no string at ${begin}`);
      escapes = 0;
      while (this.text[end - 1 - escapes] === '\\') escapes++;
    }
    this.at = end + 1;
    return JSON.parse(this.text.slice(begin, this.at));
  }

  // Items up to `end`, each read by item().
  items(end, item) {
    this.at++;
    if (this.peek() === end) {
      this.at++;
      return;
    }
    for (;;) {
      item();
      if (this.peek() === end) break;
      this.take(',');
    }
    this.at++;
  }

  value(depth) {
    if (depth < 0) throw new RangeError(`nested deeper than ${DEPTH_MAX} levels`);
    switch (this.peek()) {
      case '{': {
        const object = {};
        this.items('}', () => {
          this.match(SPACE);
          const name = this.string();
          this.take(':');
          const value = this.value(depth - 1);
          // An assignment to __proto__ would be another thing.
          if (name !== '__proto__') object[name] = value;
          else
            Object.defineProperty(object, name, {
              value,
              writable: true,
              enumerable: true,
              configurable: true,
            });
        });
        return object;
      }
      case '[': {
        const list = [];
        this.items(']', () => list.push(this.value(depth - 1)));
        return list;
      }
      case '"':
        return this.string();
      case 't':
        return this.word('true', true);
      case 'f':
        return this.word('false', false);
      case 'n':
        return this.word('null', null);
      default:
        return this.number();
    }
  }
}

function parseExact(text) {
  const reader = new Reader(text);
  const value = reader.value(DEPTH_MAX);
  if (reader.peek() !== undefined)
    throw new SyntaxError(`more than one value at ${reader.at}`);
  return value;
}

// The value of a text with the addon's marks; partOf(name) gives a binary.
function decode(text, marks, partOf) {
  const value = marks & MARK_NUMBERS ? parseExact(text) : JSON.parse(text);
  return marks & MARK_PARTS ? readParts(value, partOf) : value;
}

module.exports = { encode, encodeText, decode, parseExact };
