// SPDX-License-Identifier: MIT

/** What travels: JSON, with integers of any size, bytes, and arrays of numbers. */
export type Value =
    | null
    | undefined
    | boolean
    | number
    | bigint
    | string
    | Uint8Array
    | ArrayBuffer
    | Tensor
    | NumberArray
    | Date
    | readonly Value[]
    | { readonly [key: string]: Value };

export type NumberArray =
    | Int8Array
    | Int16Array
    | Uint16Array
    | Int32Array
    | Uint32Array
    | BigInt64Array
    | BigUint64Array
    | Float32Array
    | Float64Array;

export type DType =
    | '|b1'
    | '|i1'
    | '|u1'
    | '<i2'
    | '<u2'
    | '<i4'
    | '<u4'
    | '<i8'
    | '<u8'
    | '<f2'
    | '<f4'
    | '<f8'
    | '<c8'
    | '<c16';

/** An array of numbers of any shape, the last dimension varies fastest. */
export class Tensor {
    constructor(
        data: NumberArray | Uint8Array,
        shape?: readonly number[],
        dtype?: DType,
    );
    readonly data: NumberArray | Uint8Array;
    readonly shape: number[];
    readonly dtype: DType;
    readonly length: number;
    at(...indices: number[]): number | bigint;
    toArray(): unknown;
    static from(nested: unknown, dtype?: DType): Tensor;
}

export interface CallOptions {
    /** At most what is left of this call's own time. */
    timeoutMs?: number;
}

export interface ToolOptions extends CallOptions {
    /** The pool of workers to look in; without it any that has the tool. */
    pool?: string;
}

export interface HostTool {
    name: string;
    description: string;
    inputSchema: unknown;
    metadata: Record<string, string>;
    streaming: boolean;
}

export interface SessionInfo {
    id: string;
    metadata: Record<string, unknown>;
    /** null: it does not end by itself */
    ttlMs: number | null;
    remainingMs: number | null;
    createdMs: number;
    usedMs: number;
    bytes: number;
    variables: number;
    programs: number;
    tools: number;
    durability: string;
}

export interface VariableInfo {
    id: string;
    name: string;
    type: string;
    value: any;
    constraints: Record<string, unknown>;
    metadata: Record<string, unknown>;
    changedBy?: string;
    lockedBy?: string;
    version: number;
    createdMs: number;
    updatedMs: number;
}

export interface ChangeOptions {
    metadata?: Record<string, unknown>;
    changedBy?: string;
    /** Of the lock, when the variable is locked. */
    owner?: string;
    /** Only when the version is still this one. */
    expectedVersion?: number;
}

export interface RegisterOptions {
    type?: string;
    constraints?: Record<string, unknown>;
    metadata?: Record<string, unknown>;
    changedBy?: string;
}

export interface Change {
    kind: 'initial' | 'registered' | 'value' | 'lock' | 'deleted';
    variable: VariableInfo;
}

/** The variables of the call's session. */
export interface Variables {
    register(
        name: string,
        value: Value,
        options?: RegisterOptions,
    ): Promise<VariableInfo>;
    get(name: string): Promise<any>;
    get<T>(name: string, otherwise: T): Promise<any | T>;
    info(name: string): Promise<VariableInfo>;
    /** Registers it when there is none. Gives the new version. */
    set(
        name: string,
        value: Value,
        options?: ChangeOptions & RegisterOptions,
    ): Promise<number>;
    delete(name: string, options?: ChangeOptions): Promise<void>;
    list(pattern?: string | null): Promise<VariableInfo[]>;
    getMany(names: Iterable<string>): Promise<Record<string, any>>;
    setMany(
        values: Record<string, Value>,
        options?: ChangeOptions & { atomic?: boolean },
    ): Promise<Record<string, number | HostError>>;
    history(name: string, limit?: number): Promise<VariableInfo[]>;
    rollback(name: string, version: number, options?: ChangeOptions): Promise<number>;
    lock(name: string, owner: string): Promise<void>;
    unlock(name: string, owner?: string | null): Promise<VariableInfo>;
    addDependency(from: string, to: string, kind?: string | null): Promise<void>;
    removeDependency(from: string, to: string): Promise<void>;
    dependencies(
        name?: string | null,
    ): Promise<{ from: string; to: string; kind: string }[]>;
    export(): Promise<unknown[]>;
    import(exported: unknown[]): Promise<number>;
    watch(
        names?: string | string[],
        options?: { initial?: boolean; queueMax?: number },
    ): AsyncGenerator<Change, void, void>;
}

export interface Program {
    id: string;
    data: any;
    createdMs: number;
    updatedMs: number;
    remainingMs: number | null;
}

export interface Programs {
    store(id: string, data: Value, options?: { ttlMs?: number }): Promise<void>;
    update(id: string, data: Value): Promise<void>;
    get(id: string): Promise<any>;
    delete(id: string): Promise<void>;
    list(): Promise<Program[]>;
}

/** The call a tool runs for. */
export interface Context {
    readonly tool: string;
    /** null without one */
    readonly session: string | null;
    readonly sessionId: string | null;
    readonly metadata: Record<string, string>;
    /** The raw binary arguments by name. */
    readonly binaries: Record<string, Buffer>;
    /** Aborted when nobody waits for the call any more. */
    readonly signal: AbortSignal;
    readonly cancelled: boolean;
    throwIfCancelled(): void;
    /** Milliseconds; Infinity without a deadline. */
    timeLeft(): number;
    callHost(tool: string, args?: Value, options?: CallOptions): Promise<any>;
    callTool(tool: string, args?: Value, options?: ToolOptions): Promise<any>;
    streamHost(
        tool: string,
        args?: Value,
        options?: CallOptions,
    ): AsyncGenerator<any, void, void>;
    streamTool(
        tool: string,
        args?: Value,
        options?: ToolOptions,
    ): AsyncGenerator<any, void, void>;
    hostTools(): Promise<HostTool[]>;
    readonly variables: Variables;
    readonly programs: Programs;
    readonly globalPrograms: Programs;
    sessionInfo(): Promise<SessionInfo>;
    updateSession(changes: {
        metadata?: Record<string, unknown>;
        ttlMs?: number;
    }): Promise<void>;
}

export type ToolFunction = (args: any, ctx: Context) => unknown;

export interface ParamSpec {
    /** "int", "float", "str", "bool", "list", "dict", "bytes" or "any". */
    type?: string;
    description?: string;
    default?: Value;
    optional?: boolean;
}

export interface ToolSpec {
    /** Not needed in a class that has a method of the tool's name. */
    fn?: ToolFunction;
    description?: string;
    params?: Record<string, string | ParamSpec>;
    /** Not needed of generator functions. */
    stream?: boolean;
    /** Running it twice does no harm: it is sent to another worker when its own one dies. */
    idempotent?: boolean;
}

export interface Adapter {
    tools?: Record<string, ToolFunction | ToolSpec>;
    /** At most so many calls at once, however many the pool's max_concurrency allows. */
    maxConcurrency?: number;
    initialize?(): void | Promise<void>;
    cleanup?(): void | Promise<void>;
    onSessionEnd?(session: string): void | Promise<void>;
    /** Calls of tools that are not in `tools`. */
    fallback?(tool: string, args: any, ctx: Context): unknown;
}

/** The adapter as it is: for editors, which then know what stands in it. */
export function defineAdapter<T extends Adapter>(adapter: T): T;

// codes: tools/error_types.py --update
export type ErrorCode =
    | 'SP-BAD-ARGS'
    | 'SP-BAD-JSON'
    | 'SP-BAD-VALUE'
    | 'SP-BREAKER-OPEN'
    | 'SP-CANCELLED'
    | 'SP-CLOSED'
    | 'SP-CONFIG'
    | 'SP-CONFLICT'
    | 'SP-CYCLE'
    | 'SP-DEADLOCK'
    | 'SP-EXISTS'
    | 'SP-GUARD'
    | 'SP-IN-USE'
    | 'SP-INVAL'
    | 'SP-LOCKED'
    | 'SP-NO-POOL'
    | 'SP-NO-TOOL'
    | 'SP-NO-WORKER'
    | 'SP-NOMEM'
    | 'SP-NOT-FOUND'
    | 'SP-NOT-READY'
    | 'SP-POISON'
    | 'SP-PROTOCOL'
    | 'SP-QUEUE-FULL'
    | 'SP-QUEUE-TIMEOUT'
    | 'SP-QUOTA'
    | 'SP-RECURSION'
    | 'SP-REFUSED'
    | 'SP-REMOTE'
    | 'SP-SESSION-WORKER-LOST'
    | 'SP-START-FAILED'
    | 'SP-START-TIMEOUT'
    | 'SP-STOPPED-BY-CALLBACK'
    | 'SP-STORE'
    | 'SP-STORE-FULL'
    | 'SP-SYSTEM'
    | 'SP-TIMEOUT'
    | 'SP-TOO-BIG'
    | 'SP-TOO-DEEP'
    | 'SP-TOO-SLOW'
    | 'SP-UNSUPPORTED'
    | 'SP-WORKER-DIED';
export type ErrorCategory =
    | 'pool'
    | 'remote'
    | 'state'
    | 'store'
    | 'system'
    | 'time'
    | 'usage'
    | 'wire'
    | 'worker';
// end of codes

/** What led to an exception, nearest first. */
export interface RemoteCause {
    link: 'cause' | 'context' | 'member';
    type: string;
    message: string;
    traceback?: string;
}

/** What else is known of an exception in another process. */
export interface RemoteDetails {
    causes?: RemoteCause[];
    kind?:
        | 'shape_mismatch'
        | 'dimension_mismatch'
        | 'dtype_mismatch'
        | 'device_mismatch'
        | 'out_of_memory';
    library?: string;
    operation?: string;
    dimension?: number;
    device?: string;
    expected?: string | number[];
    got?: string | number[];
    requested_bytes?: number;
    available_bytes?: number;
}

export interface ReportOptions {
    /** Otherwise that of the span or call it is a part of. */
    correlationId?: string;
}

/** Figures are numbers, booleans and texts; facts become texts. */
export type Figures = Record<string, number | bigint | boolean | string>;
export type Facts = Record<string, unknown>;

/** What a tool reports of its work, to whoever listens to the worker. */
export const telemetry: {
    /** Report an event; true when somebody gets it. */
    emit(
        name: string,
        measurements?: Figures,
        metadata?: Facts,
        options?: ReportOptions,
    ): boolean;
    /**
     * Run a function as a span: `name.start` before it, and `name.stop` or `name.exception`
     * with its duration in nanoseconds after it, or after the promise it gives.
     */
    span<T>(name: string, fn: () => T): T;
    span<T>(name: string, metadata: Facts, fn: () => T, options?: ReportOptions): T;
    /** Whether somebody listens. */
    isEnabled(): boolean;
    /** Events that listeners lost because they did not read. */
    droppedCount(): number;
};

/** The host refused, failed or is gone. */
export class HostError extends Error {
    constructor(
        message: string,
        code?: ErrorCode,
        remoteType?: string,
        remoteTrace?: string,
        remoteDetails?: RemoteDetails,
    );
    readonly code: ErrorCode;
    readonly category: ErrorCategory;
    /** Whether the same call may succeed later. */
    readonly retryable: boolean;
    /** The gRPC status code that stands for the code. */
    readonly grpcStatus: number;
    /** What to do about it. */
    readonly hint: string;
    readonly remoteType?: string;
    readonly remoteTrace?: string;
    readonly remoteDetails?: RemoteDetails;
}
export class NotFound extends HostError {}
export class AlreadyExists extends HostError {}
export class BadValue extends HostError {}
export class VersionConflict extends HostError {}
export class VariableLocked extends HostError {}
export class DependencyCycle extends HostError {}
export class QuotaExceeded extends HostError {}
export class WatchTooSlow extends HostError {}
export class ToolNotFound extends HostError {}
export class ToolArgumentsError extends HostError {}
export class ToolError extends HostError {}
export class ToolRecursion extends HostError {}
export class HostTimeout extends HostError {}
/** Nobody waits for the call any more. */
export class Cancelled extends HostError {
    constructor(message?: string, code?: string);
}
/** Thrown by a tool before it has done anything: its caller sees SP-BAD-ARGS. */
export class BadArguments extends TypeError {
    constructor(message: string);
    readonly code: 'SP-BAD-ARGS';
}
