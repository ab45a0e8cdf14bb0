/**
 * Messages as JSON: `[kind, request, head, body]` as UTF-8, for clients in other
 * languages. What JSON cannot say is an object with one key that begins with `$`:
 *
 * | key         | value                                | stands for                  |
 * | ----------- | ------------------------------------ | --------------------------- |
 * | `$none`     | `true`                               | `undefined`                 |
 * | `$number`   | `"NaN"`, `"Infinity"`, `"-0"` …      | that number                 |
 * | `$bigint`   | decimal digits                       | a bigint                    |
 * | `$bytes`    | base64                               | a `Uint8Array`              |
 * | `$date`     | milliseconds, or `null`              | a `Date`                    |
 * | `$map`      | list of pairs                        | a `Map`                     |
 * | `$set`      | list                                 | a `Set`                     |
 * | `$error`    | `[name, message, stack, fields]`     | an error                    |
 * | `$proxy`    | see README.md                        | a proxy                     |
 * | `$function` | `{ modules, name, registered, hash}` | a function                  |
 * | `$object`   | list of pairs                        | an object with a key in `$` |
 *
 * Circles are refused, and shared references arrive as copies; instances of classes
 * arrive as plain objects with their fields. All else is refused that would not be
 * what it was: other views, buffers, `URL`s, boxed primitives, arrays with holes or
 * names, classes with hooks, and what the codec refuses.
 *
 * Runs in the client and in the server.
 *
 * @module
 */
import { EncodingError } from "../errors.ts";
import * as errors from "../errors.ts";
import { classOf } from "../codec/classes.ts";
import { isWhole, kindOfObject } from "../codec/kinds.ts";
import { TO_WIRE } from "../codec/mod.ts";
import type { WireForm } from "../codec/mod.ts";
import { PROXY_TAG } from "../primitives/wire.ts";
import { notAMessage, together } from "./_wire.ts";
import type { Peer, Wire } from "./_wire.ts";

/** Objects in objects, both ways: deeper ones are refused. */
const DEPTH_MAX = 256;

const toBytes = new TextEncoder();
const toText = new TextDecoder("utf-8", { fatal: true });

/** See the module. */
export const jsonWire: Wire = {
  name: "json",

  body(value, root, peer) {
    return JSON.stringify(new Writer(peer).write(value, root, 0));
  },

  pack(kind, request, head, body = "null") {
    return toBytes.encode(
      `[${kind},${request},${JSON.stringify(head)},${body}]`,
    );
  },

  unpack(bytes) {
    let message: unknown;
    try {
      message = JSON.parse(toText.decode(bytes));
    } catch (cause) {
      throw notAMessage(this.name, cause);
    }
    if (!Array.isArray(message)) throw notAMessage(this.name);
    const [kind, request, head, body] = message;
    if (
      !Number.isInteger(kind) || !Number.isInteger(request) || request < 0 ||
      !Array.isArray(head)
    ) throw notAMessage(this.name);
    return { kind, request, head, body };
  },

  readBody(body, peer) {
    const reader = new Reader(peer);
    const value = reader.read(body, 0);
    return { value, loading: together(reader.loadings) };
  },
};

/** Makes what `JSON.stringify()` takes of a value. */
class Writer {
  readonly #peer: Peer;
  readonly #open = new Set<object>();

  constructor(peer: Peer) {
    this.#peer = peer;
  }

  write(value: unknown, path: string, depth: number): unknown {
    switch (typeof value) {
      case "string":
      case "boolean":
        return value;
      case "undefined":
        return { $none: true };
      case "number":
        return Number.isFinite(value) && !Object.is(value, -0)
          ? value
          : { $number: Object.is(value, -0) ? "-0" : String(value) };
      case "bigint":
        return { $bigint: String(value) };
      case "symbol":
        throw refused("a symbol", path);
      case "function":
        return { $function: this.#peer.refer(value, path) };
    }
    if (value === null) return null;
    if (this.#open.has(value as object)) throw refused("a circle", path);
    if (depth >= DEPTH_MAX) throw refused("what is nested so deep", path);
    this.#open.add(value as object);
    try {
      return this.#object(value as object, path, depth + 1);
    } finally {
      this.#open.delete(value as object);
    }
  }

  #object(value: object, path: string, depth: number): unknown {
    if (TO_WIRE in value) {
      const handle = value as { [TO_WIRE](target: unknown): WireForm };
      const { tag, data } = handle[TO_WIRE](this.#peer);
      if (tag !== PROXY_TAG) throw refused(`a ${tag}`, path);
      return { $proxy: this.write(data, path, depth) };
    }
    const each = (items: Iterable<unknown>) =>
      Array.from(
        items,
        (item, i) => this.write(item, `${path}[${i}]`, depth),
      );
    if (Array.isArray(value)) {
      if (isWhole(value)) return each(value);
      throw refused("an array with holes or names", path);
    }
    const cls = classOf(Object.getPrototypeOf(value));
    const kind = kindOfObject(value);
    if (kind !== "error" && (cls?.encode || cls?.decode)) {
      throw refused(`a ${cls.name}`, path); // its fields may not be all of it
    }
    switch (kind) {
      case "plain":
        return this.#fields(value, path, depth);
      case "map":
        return { $map: each(value as Map<unknown, unknown>) };
      case "set":
        return { $set: each(value as Set<unknown>) };
      case "error":
        return this.#error(value as Error, path, depth);
      case "date": {
        const time = (value as Date).getTime();
        return { $date: Number.isNaN(time) ? null : time };
      }
      case "view":
        if (value instanceof Uint8Array) return { $bytes: value.toBase64() };
    }
    const name = typeof kind === "object"
      ? kind.refused
      : Object.prototype.toString.call(value).slice("[object ".length, -1);
    if (kind === "boxed") throw refused(`a boxed ${name}`, path);
    throw refused(`${/^[aeio]/i.test(name) ? "an" : "a"} ${name}`, path);
  }

  #fields(value: object, path: string, depth: number): unknown {
    const entries = Object.entries(value).map(([key, item]) =>
      [key, this.write(item, `${path}.${key}`, depth)] as const
    );
    return entries.some(([key]) => key.startsWith("$"))
      ? { $object: entries }
      : Object.fromEntries(entries);
  }

  #error(error: Error, path: string, depth: number): unknown {
    const fields: [string, unknown][] = [];
    for (const key of Object.getOwnPropertyNames(error)) {
      if (["name", "message", "stack"].includes(key)) continue;
      const property = Object.getOwnPropertyDescriptor(error, key)!;
      if (!("value" in property)) continue;
      fields.push([key, this.write(property.value, `${path}.${key}`, depth)]);
    }
    const { name, message, stack = "" } = error;
    return { $error: [name, message, stack, fields] };
  }
}

/** Makes a value of what `JSON.parse()` gave. */
class Reader {
  readonly loadings: Promise<void>[] = [];
  readonly #peer: Peer;

  constructor(peer: Peer) {
    this.#peer = peer;
  }

  read(json: unknown, depth: number): unknown {
    if (typeof json !== "object" || json === null) return json;
    if (depth > 2 * DEPTH_MAX) throw unreadable("it is nested too deep");
    const each = (items: unknown) => {
      if (!Array.isArray(items)) throw unreadable("a list is missing");
      return items.map((item) => this.read(item, depth + 1));
    };
    if (Array.isArray(json)) return each(json);
    const entries = Object.entries(json);
    const [[key, data] = ["", undefined]] = entries;
    if (!key.startsWith("$") || entries.length !== 1) {
      return withFields(
        {},
        entries.map(([key, item]) => [key, this.read(item, depth + 1)]),
      );
    }
    switch (key) {
      case "$none":
        return undefined;
      case "$number":
        return Number(data);
      case "$bigint":
        if (!/^-?\d+$/.test(String(data))) throw unreadable("a bigint is none");
        return BigInt(String(data));
      case "$bytes":
        return bytesOf(data);
      case "$date":
        return new Date(data === null ? NaN : Number(data));
      case "$map":
        return new Map(pairs(each(data)));
      case "$set":
        return new Set(each(data));
      case "$object":
        return withFields({}, pairs(each(data)));
      case "$error":
        return errorOf(each(data));
      case "$proxy":
        return this.#peer.borrow(this.read(data, depth + 1));
      case "$function": {
        const { fn, loading } = this.#peer.restore(data);
        if (loading) this.loadings.push(loading);
        return fn;
      }
      default:
        throw unreadable(`there is no "${key}"`);
    }
  }
}

function bytesOf(data: unknown): Uint8Array {
  try {
    return Uint8Array.fromBase64(String(data));
  } catch {
    throw unreadable("bytes are not in base64");
  }
}

function pairs(items: unknown[]): [unknown, unknown][] {
  if (items.every((item) => Array.isArray(item) && item.length === 2)) {
    return items as [unknown, unknown][];
  }
  throw unreadable("a pair is missing");
}

function withFields<T extends object>(
  object: T,
  entries: Iterable<readonly [unknown, unknown]>,
): T {
  // Defined, not assigned: a key may be called `__proto__`.
  for (const [key, value] of entries) {
    Object.defineProperty(object, String(key), {
      value,
      writable: true,
      enumerable: true,
      configurable: true,
    });
  }
  return object;
}

/** Classes of errors that both sides have. */
const CLASSES: Readonly<Record<string, unknown>> = {
  ...errors,
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
};

function errorOf(parts: unknown[]): Error {
  const [name, message, stack, fields] = parts;
  const error = new Error(String(message));
  const known = Object.hasOwn(CLASSES, String(name))
    ? CLASSES[String(name)] as { prototype: object }
    : Error;
  Object.setPrototypeOf(error, known.prototype);
  const hidden = { writable: true, enumerable: false, configurable: true };
  Object.defineProperty(error, "name", { value: String(name), ...hidden });
  Object.defineProperty(error, "stack", { value: String(stack), ...hidden });
  return withFields(error, pairs(Array.isArray(fields) ? fields : []));
}

function refused(what: string, path: string): EncodingError {
  return new EncodingError(
    `Cannot send ${what} as JSON cannot express it: "${path}"`,
    { path },
  );
}

function unreadable(why: string): EncodingError {
  return new EncodingError(`Cannot read a JSON value as ${why}`);
}
