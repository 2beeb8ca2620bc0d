// SPDX-License-Identifier: MIT
//
// Arrays of numbers that travel as bytes beside the JSON (see snakepit/tensor.h).
'use strict';

const BINARY_MIN_BYTES = 10240;
const ALIGNMENT = 16;
const DIMS_MAX = 32;

// dtype: [bytes of an element, the array that holds it]; without one it is a Buffer.
const DTYPES = {
  '|b1': [1, Uint8Array],
  '|i1': [1, Int8Array],
  '|u1': [1, Uint8Array],
  '<i2': [2, Int16Array],
  '<u2': [2, Uint16Array],
  '<i4': [4, Int32Array],
  '<u4': [4, Uint32Array],
  '<i8': [8, BigInt64Array],
  '<u8': [8, BigUint64Array],
  '<f4': [4, Float32Array],
  '<f8': [8, Float64Array],
  '<f2': [2, null],
  '<c8': [8, null],
  '<c16': [16, null],
};

const DTYPE_OF = new Map([
  [Int8Array, '|i1'],
  [Int16Array, '<i2'],
  [Uint16Array, '<u2'],
  [Int32Array, '<i4'],
  [Uint32Array, '<u4'],
  [BigInt64Array, '<i8'],
  [BigUint64Array, '<u8'],
  [Float32Array, '<f4'],
  [Float64Array, '<f8'],
  [Uint8Array, '|u1'],
]);

function count(shape) {
  return shape.reduce((product, size) => product * size, 1);
}

function isShape(shape) {
  return (
    Array.isArray(shape) &&
    shape.length <= DIMS_MAX &&
    shape.every((size) => Number.isSafeInteger(size) && size >= 0) &&
    Number.isSafeInteger(count(shape))
  );
}

// An array of numbers of any shape: the elements lie one behind the other, the last
// dimension varies fastest.
class Tensor {
  constructor(data, shape = [data.length], dtype = DTYPE_OF.get(data.constructor)) {
    const [bytes, kind] = DTYPES[dtype] ?? [];
    if (bytes === undefined) throw new TypeError(`no dtype '${dtype}'`);
    if (!isShape(shape)) throw new RangeError(`no shape: ${JSON.stringify(shape)}`);
    if (data.byteLength !== count(shape) * bytes) {
      throw new RangeError(
        `${data.byteLength} bytes are not those of ${JSON.stringify(shape)} of ${dtype}`,
      );
    }
    if (kind !== null && !(data instanceof kind)) {
      throw new TypeError(
        `${dtype} is kept in a ${kind.name}, not a ${data.constructor.name}`,
      );
    }
    this.data = data;
    this.shape = [...shape];
    this.dtype = dtype;
  }

  get length() {
    return count(this.shape);
  }

  // The element at the indices, one for each dimension.
  at(...indices) {
    let place = 0;
    this.shape.forEach((size, i) => {
      place = place * size + indices[i];
    });
    return this.data[place];
  }

  // Nested arrays, as JSON has them.
  toArray() {
    const elements =
      this.dtype === '|b1' ? Array.from(this.data, Boolean) : Array.from(this.data);
    if (this.shape.length === 0) return elements[0];
    return this.shape.slice(1).reduceRight((flat, size) => {
      const rows = [];
      const many = size === 0 ? 0 : flat.length / size;
      for (let i = 0; i < many; i++) rows.push(flat.slice(i * size, (i + 1) * size));
      return rows;
    }, elements);
  }

  toJSON() {
    return this.toArray();
  }

  // From nested arrays of numbers.
  static from(nested, dtype = '<f8') {
    const kind = DTYPES[dtype]?.[1];
    if (!kind) throw new TypeError(`no dtype '${dtype}' that holds numbers`);
    const shape = [];
    for (let inner = nested; Array.isArray(inner); inner = inner[0])
      shape.push(inner.length);
    const flat = shape.length === 0 ? [nested] : nested.flat(shape.length - 1);
    return new Tensor(kind.from(flat), shape, dtype);
  }
}

// ---- what leaves ----

function bytesOf(view) {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength);
}

// A Buffer of what holds bytes, null for anything else.
function asBytes(value) {
  if (Buffer.isBuffer(value)) return value;
  if (value instanceof Uint8Array || value instanceof Uint8ClampedArray)
    return bytesOf(value);
  if (value instanceof DataView) return bytesOf(value);
  if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer)
    return Buffer.from(value);
  return null;
}

// A Tensor of what holds numbers, null for anything else.
function asTensor(value) {
  if (value instanceof Tensor) return value;
  const dtype = ArrayBuffer.isView(value) ? DTYPE_OF.get(value.constructor) : undefined;
  return dtype === undefined ? null : new Tensor(value, [value.length], dtype);
}

// The bytes that one value's JSON speaks of, one behind the other.
class Parts {
  constructor(name) {
    this.name = name; // of the binary; empty for a result's
    this.pieces = [];
    this.bytes = 0;
  }

  // Keep a piece; gives what the JSON says of it.
  add(piece) {
    const gap = (ALIGNMENT - (this.bytes % ALIGNMENT)) % ALIGNMENT;
    if (gap > 0 && this.pieces.length > 0) this.pieces.push(Buffer.alloc(gap));
    const at = this.pieces.length > 0 ? this.bytes + gap : 0;
    this.pieces.push(piece);
    this.bytes = at + piece.length;
    return {
      ...(this.name === '' ? {} : { part: this.name }),
      ...(at > 0 ? { at } : {}),
    };
  }

  join() {
    if (this.pieces.length === 0) return undefined;
    return this.pieces.length === 1 ? this.pieces[0] : Buffer.concat(this.pieces);
  }

  // JSON text for bytes.
  putBytes(bytes) {
    return `{"__bytes__":${JSON.stringify({ size: bytes.length, ...this.add(bytes) })}}`;
  }

  // JSON text for a large tensor, null for a small one: it belongs into the JSON itself.
  putTensor(tensor) {
    if (
      tensor.data.byteLength <= BINARY_MIN_BYTES &&
      DTYPES[tensor.dtype][1] !== null
    ) {
      return null;
    }
    const { dtype, shape } = tensor;
    const place = this.add(bytesOf(tensor.data));
    return `{"__tensor__":${JSON.stringify({ dtype, shape, ...place })}}`;
  }
}

// ---- what comes ----

function isPlace(place, bytes, whole) {
  const at = place.at ?? 0;
  return Number.isSafeInteger(at) && at >= 0 && bytes <= whole.length - at;
}

function sliceOf(place, bytes, partOf) {
  const whole = partOf(place.part ?? '');
  if (whole === undefined)
    throw new RangeError(`there is no part '${place.part ?? ''}'`);
  if (!Number.isSafeInteger(bytes) || !isPlace(place, bytes, whole)) {
    throw new RangeError(
      `${bytes} bytes from ${place.at ?? 0} on, the part '${place.part ?? ''}' has ${whole.length}`,
    );
  }
  return whole.subarray(place.at ?? 0, (place.at ?? 0) + bytes);
}

function readTensor(said, partOf) {
  const [bytes, kind] = DTYPES[said?.dtype] ?? [];
  if (bytes === undefined) throw new RangeError(`no dtype '${said?.dtype}'`);
  if (!isShape(said.shape))
    throw new RangeError(`no shape: ${JSON.stringify(said.shape)}`);
  const slice = sliceOf(said, count(said.shape) * bytes, partOf);
  if (kind === null) return new Tensor(slice, said.shape, said.dtype);
  // A view of the bytes where they lie on the array's own boundary, a copy elsewhere.
  const fits = slice.byteOffset % bytes === 0;
  const memory = fits ? slice : Uint8Array.from(slice);
  const data = new kind(memory.buffer, memory.byteOffset, slice.length / bytes);
  return new Tensor(data, said.shape, said.dtype);
}

// Replace what stands for bytes and tensors in a value that was just parsed. partOf(name)
// gives a part's Buffer.
function readParts(value, partOf) {
  if (value === null || typeof value !== 'object') return value;
  const keys = Object.keys(value);
  if (keys.length === 1 && keys[0] === '__tensor__')
    return readTensor(value.__tensor__, partOf);
  if (keys.length === 1 && keys[0] === '__bytes__') {
    return sliceOf(value.__bytes__, value.__bytes__?.size, partOf);
  }
  for (const key of keys) {
    const inner = value[key];
    if (inner !== null && typeof inner === 'object')
      value[key] = readParts(inner, partOf);
  }
  return value;
}

module.exports = { Tensor, Parts, asBytes, asTensor, readParts };
