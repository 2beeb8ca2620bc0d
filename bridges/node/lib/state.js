// SPDX-License-Identifier: MIT
//
// The variables and programs of a call's session, which the host keeps.
'use strict';

const { encodeText } = require('./json.js');
const { asTensor } = require('./tensor.js');
const { NotFound, hostError } = require('./errors.js');

function textOrNull(value) {
  return value === undefined || value === null ? null : encodeText(value);
}

// A value as a variable has it: arrays of numbers are embeddings, or tensors with a shape.
function variableText(value) {
  const tensor = value !== null && typeof value === 'object' ? asTensor(value) : null;
  if (tensor === null) return encodeText(value);
  if (tensor.shape.length === 1) return encodeText(Array.from(tensor.data));
  return encodeText({ shape: tensor.shape, data: Array.from(tensor.data) });
}

// The name of the type that fits a value.
function typeOf(value) {
  const tensor = value !== null && typeof value === 'object' ? asTensor(value) : null;
  if (tensor !== null) return tensor.shape.length === 1 ? 'embedding' : 'tensor';
  return null; // the host finds it
}

function changeTexts({ constraints, metadata, changedBy, owner } = {}) {
  return [
    textOrNull(constraints),
    textOrNull(metadata),
    changedBy ?? null,
    owner ?? null,
  ];
}

class Variables {
  #context;

  constructor(context) {
    this.#context = context;
  }

  #ask(name, texts, numbers) {
    return this.#context._inOrder(() => this.#now(name, texts, numbers));
  }

  async #now(name, texts, numbers) {
    return this.#context._value(await this.#context._askState(name, texts, numbers));
  }

  // Register a variable with its first value; gives what info() gives. Without a type it
  // has the one that fits the value.
  register(name, value, { type, ...options } = {}) {
    const texts = [
      String(name),
      type ?? typeOf(value),
      variableText(value),
      ...changeTexts(options),
    ];
    return this.#ask('register', texts, [-1]);
  }

  // Its value. `otherwise` is given for a variable that is not there, instead of NotFound.
  async get(name, otherwise) {
    try {
      return (await this.info(name)).value;
    } catch (failure) {
      if (arguments.length < 2 || !(failure instanceof NotFound)) throw failure;
      return otherwise;
    }
  }

  // {id, name, type, value, constraints, metadata, version, createdMs, updatedMs ...}
  info(name) {
    return this.#ask('get', [String(name)]);
  }

  // Set it, registering it when there is none; gives the new version.
  async set(name, value, { type, expectedVersion, ...options } = {}) {
    const text = variableText(value); // as it is now, whatever becomes of it
    const kind = type ?? typeOf(value);
    const change = changeTexts(options);
    return this.#context._inOrder(async () => {
      try {
        return await this.#now(
          'set',
          [String(name), text, ...change],
          [expectedVersion ?? -1],
        );
      } catch (failure) {
        if (!(failure instanceof NotFound) || expectedVersion !== undefined)
          throw failure;
        const registered = await this.#now(
          'register',
          [String(name), kind, text, ...change],
          [-1],
        );
        return registered.version;
      }
    });
  }

  async delete(name, options = {}) {
    await this.#ask(
      'delete',
      [String(name), ...changeTexts(options)],
      [options.expectedVersion ?? -1],
    );
  }

  // Those whose names fit the pattern ('*' any text, '?' a character), as info() gives them.
  list(pattern = null) {
    return this.#ask('list', [pattern]);
  }

  // The values of several at one moment: an object with those that are there.
  async getMany(names) {
    const found = await this.#ask('getMany', [...names].map(String));
    return Object.fromEntries(found.map(({ name, value }) => [name, value]));
  }

  // Set several. atomic: all or none. Gives the versions, and a HostError in the place of
  // a version for each that was refused.
  async setMany(values, { atomic = false, ...options } = {}) {
    const pairs = Object.entries(values).flatMap(([name, value]) => [
      name,
      variableText(value),
    ]);
    const updates = await this.#ask(
      'setMany',
      [...changeTexts(options), ...pairs],
      [-1, atomic ? 1 : 0],
    );
    return Object.fromEntries(
      updates.map(({ name, version, code, message }) => [
        name,
        code ? hostError(code, message) : version,
      ]),
    );
  }

  // Its kept versions, the newest first.
  history(name, limit = 0) {
    return this.#ask('history', [String(name)], [limit]);
  }

  // Make an earlier value the value again; gives the new version.
  rollback(name, version, options = {}) {
    return this.#ask('rollback', [String(name), ...changeTexts(options)], [version]);
  }

  async lock(name, owner) {
    await this.#ask('lock', [String(name), String(owner)]);
  }

  // Without an owner by force.
  unlock(name, owner = null) {
    return this.#ask('unlock', [String(name), owner]);
  }

  async addDependency(from, to, kind = null) {
    await this.#ask('depend', [String(from), String(to), kind]);
  }

  async removeDependency(from, to) {
    await this.#ask('undepend', [String(from), String(to)]);
  }

  // [{from, to, kind}] of one variable, or of all.
  dependencies(name = null) {
    return this.#ask('dependencies', [name]);
  }

  export() {
    return this.#ask('export', []);
  }

  import(exported) {
    return this.#ask('import', [encodeText(exported)]);
  }

  // Every change from now on, {kind, variable}: to be read by `for await`, until the loop
  // is left or the call ends. Without names, of all variables.
  watch(names = [], { initial = false, queueMax = 0 } = {}) {
    const list = Array.isArray(names) ? names : [names];
    const numbers = [initial ? 1 : 0, queueMax];
    const opening = this.#context._inOrder(() =>
      this.#context._open('watch', list.map(String), numbers),
    );
    opening.catch(() => {}); // told to whoever reads
    return this.#changes(opening);
  }

  async *#changes(opening) {
    const opened = await opening;
    try {
      for (;;)
        yield this.#context._value(await this.#context._askNext('watchNext', opened));
    } finally {
      this.#context._close(opened);
    }
  }
}

class Programs {
  #context;
  #isGlobal;

  constructor(context, isGlobal) {
    this.#context = context;
    this.#isGlobal = isGlobal;
  }

  async #ask(name, texts, ttlMs = -1) {
    const numbers = [this.#isGlobal ? 1 : 0, ttlMs];
    const ask = this.#isGlobal ? '_ask' : '_askState';
    return this.#context._value(
      await this.#context._inOrder(() => this.#context[ask](name, texts, numbers)),
    );
  }

  // ttlMs: of a global one; 0 as the host has it
  async store(id, data, { ttlMs } = {}) {
    await this.#ask(
      'programStore',
      [String(id), encodeText(data)],
      ttlMs === Infinity ? -1 : (ttlMs ?? 0),
    );
  }

  async update(id, data) {
    await this.#ask('programUpdate', [String(id), encodeText(data)]);
  }

  async get(id) {
    return (await this.#ask('programGet', [String(id)])).data;
  }

  async delete(id) {
    await this.#ask('programDelete', [String(id)]);
  }

  // [{id, data, createdMs, updatedMs, remainingMs}]
  list() {
    return this.#ask('programs', []);
  }
}

module.exports = { Variables, Programs };
