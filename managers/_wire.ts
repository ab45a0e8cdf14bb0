/**
 * Messages to bytes and back, in two ways: with the codec, which keeps what values
 * are (`"binary"`), and as JSON, for clients in other languages (`"json"`, see
 * `_json_wire.ts`).
 *
 * **Data only.** Of the objects of this library only proxies travel, by the
 * number of their object. Functions go as the name of a module and an export, from
 * clients to the server only, and the server decides whose it takes.
 *
 * Runs in the client and in the server.
 *
 * @module
 */
import { decode, encode } from "../codec/mod.ts";
import type { DecodeOptions, EncodeOptions } from "../codec/mod.ts";
import { EncodingError, ProcessError } from "../errors.ts";
import { PROXY_TAG } from "../primitives/wire.ts";
import type { Message } from "./_messages.ts";

// deno-lint-ignore ban-types -- any function
type AnyFunction = Function;

const TAGS: ReadonlySet<string> = new Set([PROXY_TAG]);
const NO_TAGS: ReadonlySet<string> = new Set();
/** Kind, request, length of the head. */
const HEADER_BYTES = 9;
/** Heads are flat. */
const HEAD_DEPTH = 6;

/** How values are written. */
export type SerializerName = "binary" | "json";

/** The one that a body is for, or from. */
export class Peer {
  readonly #options: PeerOptions;

  /**
   * Describes the other side.
   *
   * @param options What it accepts and gives.
   */
  constructor(options: PeerOptions) {
    this.#options = options;
  }

  /** Refuses all objects of this library but proxies, which do not ask for this. */
  get kind(): never {
    throw new EncodingError(
      "Cannot send an object of this library to a manager as it leads to memory that only this program and its children have: use one that the manager makes",
    );
  }

  /** Plain data for a proxy that is sent there. */
  lend(proxy: object): unknown {
    return this.#options.lend(proxy);
  }

  /** The proxy for data that came from there. */
  borrow(data: unknown): object {
    return this.#options.borrow(data);
  }

  /** Plain data for a function that is sent there. */
  refer(fn: AnyFunction, path: string): unknown {
    if (this.#options.refer) return this.#options.refer(fn, path);
    throw new EncodingError(
      `Cannot send a function from a manager's server, only to it: "${path}"`,
      { path },
    );
  }

  /** The function for data that came from there, and what is to be loaded. */
  restore(
    data: unknown,
  ): { fn: AnyFunction; loading: Promise<void> | undefined } {
    if (this.#options.restore) return this.#options.restore(data);
    throw new EncodingError("Cannot receive a function from a manager");
  }
}

/** See {@linkcode Peer}. */
export interface PeerOptions {
  /** See {@linkcode Peer.lend}. */
  lend(proxy: object): unknown;
  /** See {@linkcode Peer.borrow}. */
  borrow(data: unknown): object;
  /** See {@linkcode Peer.refer}; functions are refused without it. */
  refer?(fn: AnyFunction, path: string): unknown;
  /** See {@linkcode Peer.restore}; functions are refused without it. */
  restore?(
    data: unknown,
  ): { fn: AnyFunction; loading: Promise<void> | undefined };
}

/** A body that has been read. */
export interface Arrival {
  /** The value. */
  readonly value: unknown;
  /** Modules of functions in it that are not loaded yet. */
  readonly loading: Promise<unknown> | undefined;
}

/** A way to write messages. */
export interface Wire {
  /** Its name. */
  readonly name: SerializerName;
  /**
   * Makes a body of a value.
   *
   * @param value The value.
   * @param root What to call it in an error.
   * @param peer Who gets it.
   * @throws {EncodingError} If it cannot travel.
   */
  body(value: unknown, root: string, peer: Peer): unknown;
  /** Makes a message; valid until the next one is made. */
  pack(
    kind: number,
    request: number,
    head: readonly unknown[],
    body?: unknown,
  ): Uint8Array;
  /**
   * Reads a message but for its body.
   *
   * @throws {ProcessError} If it is none.
   */
  unpack(bytes: Uint8Array): Message;
  /**
   * Reads a body.
   *
   * @param body What {@linkcode Wire.unpack} gave.
   * @param peer Who it is from.
   * @throws {EncodingError} If it cannot be read here.
   */
  readBody(body: unknown, peer: Peer): Arrival;
}

const HEAD: EncodeOptions & DecodeOptions = {
  root: "head",
  tags: NO_TAGS,
  maxDepth: HEAD_DEPTH,
};

/** Messages in the bytes of the codec. */
export const binaryWire: Wire = {
  name: "binary",

  body(value, root, peer) {
    return encode(value, {
      root,
      target: peer,
      tags: TAGS,
      encodeFunction: (fn, path) => peer.refer(fn, path),
    }).slice();
  },

  pack(kind, request, head, body) {
    const headBytes = encode(head, HEAD);
    const bodyBytes = (body ?? new Uint8Array(0)) as Uint8Array;
    const bytes = roomFor(
      HEADER_BYTES + headBytes.byteLength + bodyBytes.byteLength,
    );
    const view = new DataView(bytes.buffer);
    bytes[0] = kind;
    view.setUint32(1, request, true);
    view.setUint32(5, headBytes.byteLength, true);
    bytes.set(headBytes, HEADER_BYTES);
    bytes.set(bodyBytes, HEADER_BYTES + headBytes.byteLength);
    return bytes;
  },

  unpack(bytes) {
    if (bytes.byteLength < HEADER_BYTES) throw notAMessage(this.name);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const end = HEADER_BYTES + view.getUint32(5, true);
    if (end > bytes.byteLength) throw notAMessage(this.name);
    let head: unknown;
    try {
      head = decode(bytes.subarray(HEADER_BYTES, end), HEAD);
    } catch (cause) {
      throw notAMessage(this.name, cause);
    }
    if (!Array.isArray(head)) throw notAMessage(this.name);
    return {
      kind: bytes[0]!,
      request: view.getUint32(1, true),
      head,
      body: bytes.subarray(end),
    };
  },

  readBody(body, peer) {
    const loadings: Promise<void>[] = [];
    const value = decode(body as Uint8Array, {
      source: peer,
      tags: TAGS,
      decodeFunction: (data) => {
        const { fn, loading } = peer.restore(data);
        if (loading) loadings.push(loading);
        return fn;
      },
    });
    return { value, loading: together(loadings) };
  },
};

/** Where short messages are made: whoever sends them makes a copy anyway. */
const scratch = new Uint8Array(4096);

function roomFor(byteLength: number): Uint8Array {
  return byteLength <= scratch.byteLength
    ? scratch.subarray(0, byteLength)
    : new Uint8Array(byteLength);
}

/** One promise for some; `undefined` for none. */
export function together(
  loadings: readonly Promise<void>[],
): Promise<unknown> | undefined {
  if (loadings.length === 0) return undefined;
  const all = Promise.all(loadings);
  // Whoever reads the body may fail before it waits for this.
  all.catch(() => {});
  return all;
}

/** The error for bytes that are no message. */
export function notAMessage(
  name: SerializerName,
  cause?: unknown,
): ProcessError {
  return new ProcessError(
    `Cannot read a message of a manager as it is not in the serializer "${name}": both sides need the same`,
    { cause },
  );
}
