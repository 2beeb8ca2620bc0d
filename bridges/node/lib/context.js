// SPDX-License-Identifier: MIT
//
// What a tool is given beside its arguments: its call.
'use strict';

const native = require('./native.js');
const { encode, decode } = require('./json.js');
const {
  Cancelled,
  HostTimeout,
  HostError,
  hostError,
  NotFound,
} = require('./errors.js');
const { Variables, Programs } = require('./state.js');

// Questions that wait for the host's answer, by their numbers.
const open = new Map();
let lastQuestion = 0;

// The addon's: (question, code, message, type, trace, details) or (question, undefined,
// json, marks, binary, opened, raw), where raw is a chunk's bytes, whatever they are.
function onAnswer(id, code, first, second, third, opened, raw) {
  const question = open.get(id);
  open.delete(id);
  if (code !== undefined) question.reject(hostError(code, first, second, third, opened));
  else question.resolve({ text: first, marks: second, binary: third, opened, raw });
}

const ARGUMENTS_PART = 'snakepit-arguments';

function milliseconds(timeoutMs) {
  if (timeoutMs === undefined || timeoutMs === null || timeoutMs === Infinity) return 0;
  if (!(timeoutMs > 0)) throw new RangeError(`a timeout of ${timeoutMs} ms is none`);
  return Math.max(1, Math.round(timeoutMs));
}

class Context {
  #handle;
  #controller = null;
  #state = Promise.resolve(); // of the session's questions, which go one by one
  #hasSession = false;
  #opened = null; // streams and watches that are not closed
  #held = 0; // questions without an answer, which the call waits for
  #whenQuiet = null;
  #metadata = null;
  #binaries = null;
  #variables = null;
  #programs = null;
  #globalPrograms = null;

  constructor(handle, tool, session) {
    this.#handle = handle;
    this.tool = tool;
    this.session = session ?? null;
    // Of the package: where the call stands.
    this._isOver = false;
    this._isAside = false;
    this._iterator = null; // of a stream
    this._turn = null; // what goes on with a stream's next turn
  }

  get sessionId() {
    return this.session;
  }

  // ---- the call ----

  // The caller's metadata, keys and texts.
  get metadata() {
    if (this.#metadata === null) {
      this.#mustGoOn();
      const flat = native.metadata(this.#handle);
      this.#metadata = {};
      for (let i = 0; i < flat.length; i += 2) this.#metadata[flat[i]] = flat[i + 1];
    }
    return this.#metadata;
  }

  // The raw binary arguments by name, as Buffers.
  get binaries() {
    if (this.#binaries === null) {
      this.#mustGoOn();
      const flat = native.binaries(this.#handle);
      this.#binaries = {};
      for (let i = 0; i < flat.length; i += 2) this.#binaries[flat[i]] = flat[i + 1];
    }
    return this.#binaries;
  }

  // Its handle is another call's some time after its end.
  #mustGoOn() {
    if (this._isOver) throw new Cancelled('the call is over');
  }

  // Milliseconds until the call's deadline; Infinity without one.
  timeLeft() {
    return this._isOver ? 0 : (native.timeLeft(this.#handle) ?? Infinity);
  }

  // Whether nobody waits for the call any more.
  get cancelled() {
    return this._isOver || native.cancelled(this.#handle);
  }

  throwIfCancelled() {
    if (this.cancelled) throw this.#why();
  }

  // Aborted when nobody waits for the call any more: for fetch(), timers/promises and
  // whatever else takes a signal.
  get signal() {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.cancelled) this.#controller.abort(this.#why());
    }
    return this.#controller.signal;
  }

  #why() {
    return this.timeLeft() === 0 && !this._isOver
      ? new HostTimeout('the deadline of the call has passed', 'SP-TIMEOUT')
      : new Cancelled();
  }

  // ---- tools of the host and of other workers ----

  // Call a tool of the host's program and give its result.
  callHost(tool, args = {}, { timeoutMs } = {}) {
    return this.#callTool(tool, args, null, timeoutMs);
  }

  // Call a tool of another worker; `pool` says where, without it any that has it.
  callTool(tool, args = {}, { pool = '', timeoutMs } = {}) {
    return this.#callTool(tool, args, pool, timeoutMs);
  }

  // The same with tools that answer by a stream: to be read by `for await`.
  streamHost(tool, args = {}, { timeoutMs } = {}) {
    return this.#stream(tool, args, null, timeoutMs);
  }

  streamTool(tool, args = {}, { pool = '', timeoutMs } = {}) {
    return this.#stream(tool, args, pool, timeoutMs);
  }

  // The tools of the host's program: [{name, description, inputSchema, metadata, streaming}].
  async hostTools() {
    return this._value(await this._ask('tools', []));
  }

  async #callTool(tool, args, pool, timeoutMs) {
    const { text, binary } = encode(args, ARGUMENTS_PART);
    const parts = binary === undefined ? undefined : [ARGUMENTS_PART, binary];
    const answer = await this._ask(
      'call',
      [String(tool), text, pool],
      [milliseconds(timeoutMs)],
      parts,
    );
    return this.#result(answer);
  }

  // Bytes as the whole result stand beside null.
  #result(answer) {
    const value = this._value(answer);
    return value === null && answer.binary !== undefined ? answer.binary : value;
  }

  // A chunk is JSON, or raw bytes when it is none.
  #chunk(answer) {
    if (answer.raw.length === 0) return answer.binary ?? answer.raw;
    try {
      return this.#result(answer);
    } catch (failure) {
      if (!(failure instanceof SyntaxError)) throw failure;
      return answer.raw;
    }
  }

  async *#stream(tool, args, pool, timeoutMs) {
    const { text, binary } = encode(args, ARGUMENTS_PART);
    const parts = binary === undefined ? undefined : [ARGUMENTS_PART, binary];
    const opened = await this._open(
      'stream',
      [String(tool), text, pool],
      [milliseconds(timeoutMs)],
      parts,
    );
    try {
      for (;;) {
        const chunk = await this._askNext('streamNext', opened);
        if (chunk.raw === undefined) return;
        yield this.#chunk(chunk);
      }
    } finally {
      this._close(opened);
    }
  }

  // ---- what the host keeps for the session ----

  get variables() {
    return (this.#variables ??= new Variables(this));
  }

  get programs() {
    return (this.#programs ??= new Programs(this, false));
  }

  get globalPrograms() {
    return (this.#globalPrograms ??= new Programs(this, true));
  }

  sessionInfo() {
    return this._inOrder(async () => this._value(await this._askState('session', [])));
  }

  // Change the session's metadata, its time to live, or both.
  async updateSession({ metadata, ttlMs } = {}) {
    const text = metadata === undefined ? null : encode(metadata).text;
    await this._inOrder(() => this._askState('sessionUpdate', [text], [ttlMs ?? -1]));
  }

  // ---- of the package ----

  _value({ text, marks, binary }) {
    if (text === undefined) return undefined;
    return decode(text, marks, (name) => (name === '' ? binary : undefined));
  }

  #question(name, texts, numbers, parts, place) {
    return new Promise((resolve, reject) => {
      const id = ++lastQuestion;
      open.set(id, { resolve, reject });
      try {
        native.ask(id, name, this.#handle, texts, numbers, parts, place);
      } catch (failure) {
        open.delete(id);
        reject(failure.code ? hostError(failure.code, failure.message) : failure);
      }
    });
  }

  // Ask the host. The call does not end before the answer has come.
  async _ask(name, texts, numbers, parts) {
    if (this._isOver) throw new Cancelled('the call is over: its host is not asked');
    this.#held++;
    try {
      return await this.#question(name, texts, numbers, parts);
    } finally {
      this.#release();
    }
  }

  // Open a stream or watch. What nobody has closed is closed with the call.
  async _open(name, texts, numbers, parts) {
    const ask = name === 'watch' ? '_askState' : '_ask';
    const { opened } = await this[ask](name, texts, numbers, parts);
    const close = name === 'watch' ? native.closeWatch : native.closeStream;
    const found = { place: opened, close, isRead: false };
    (this.#opened ??= new Set()).add(found);
    if (this._isOver) this._close(found);
    return found;
  }

  // The next of a stream or watch. It is given up when the call ends.
  async _askNext(name, opened) {
    this.#mustGoOn();
    opened.isRead = true;
    try {
      return await this.#question(name, [], undefined, undefined, opened.place);
    } finally {
      opened.isRead = false;
      if (this._isOver) this._close(opened);
    }
  }

  _close(opened) {
    if (this.#opened.delete(opened)) opened.close(opened.place);
  }

  // The call is over. What a thread is reading is closed when that has ended.
  _finish() {
    this._isOver = true;
    if (this.#opened === null) return;
    for (const opened of this.#opened) if (!opened.isRead) this._close(opened);
  }

  // Ask about the session. It is begun when there is none yet; one that has ended
  // meanwhile stays ended.
  async _askState(name, texts, numbers) {
    if (this.session === null) {
      throw new HostError('the call has no session that could keep state', 'SP-INVAL');
    }
    let answer;
    try {
      answer = await this._ask(name, texts, numbers);
    } catch (failure) {
      if (
        this.#hasSession ||
        !(failure instanceof NotFound) ||
        !failure.message.startsWith('no session')
      ) {
        throw failure;
      }
      await this._ask('sessionBegin', []);
      answer = await this._ask(name, texts, numbers);
    }
    this.#hasSession = true;
    return answer;
  }

  // Run what asks about the session after all that was asked before, awaited or not.
  _inOrder(run) {
    this.#held++;
    const answer = this.#state.then(run);
    this.#state = answer.then(
      () => this.#release(),
      () => this.#release(),
    );
    return answer;
  }

  #release() {
    this.#held--;
    if (this.#held === 0 && this.#whenQuiet !== null) {
      const done = this.#whenQuiet;
      this.#whenQuiet = null;
      done();
    }
  }

  // Run `done` when every question has its answer: at once when there is none.
  _whenQuiet(done) {
    if (this.#held === 0) done();
    else this.#whenQuiet = done;
    return this.#held === 0;
  }

  get _isQuiet() {
    return this.#held === 0;
  }

  get _handle() {
    return this.#handle;
  }

  _abort() {
    this.#controller?.abort(this.#why());
  }
}

module.exports = { Context, onAnswer };
