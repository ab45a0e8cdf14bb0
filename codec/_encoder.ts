/**
 * The walk over a value that writes it down.
 *
 * The value is walked once, by recursion, and written as it is met. What makes
 * that correct for more than trees:
 *
 * - **Shared references and cycles.** Each object gets an id when its first byte
 *   is written; met again, only the id is.
 * - **Depth.** Past {@linkcode RECURSION_LIMIT} a container is written without
 *   its content and put aside; the content follows after the rest. So a linked
 *   list of any length can be sent, and no value overflows the stack.
 * - **Errors.** The way down to the current value is kept in a list, one slot for
 *   each level, so that a refusal can name it.
 *
 * What is refused is so here, when the sender is still there to be told.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { EncodingError, ProcessError } from "../errors.ts";
import { isIndex, packing } from "./_arrays.ts";
import { errorHead, hiddenProperties } from "./_errors.ts";
import type { ErrorHead } from "./_errors.ts";
import { Identities } from "./_identities.ts";
import {
  isArgumentsObject,
  isModuleNamespaceObject,
  isProxy,
  isSharedArrayBuffer,
  kindOf,
  plainKindOf,
  unboxed,
} from "./_kinds.ts";
import type { Kind } from "./_kinds.ts";
import { MapStep, MemberStep, stepText } from "./_paths.ts";
import { blockOf, sentShape, SHAPE_KEYS_MAX } from "./_shapes.ts";
import type { SentShape } from "./_shapes.ts";
import * as tags from "./_tags.ts";
import { HOOK_RECURSION_LIMIT, RECURSION_LIMIT } from "./_tags.ts";
import {
  isLengthTracking,
  isOutOfBounds,
  viewKind,
  viewLength,
} from "./_views.ts";
import { Writer } from "./_writer.ts";
import { classOf } from "./classes.ts";
import type { RegisteredClass } from "./classes.ts";
import type { EncodeOptions } from "./encoder.ts";
import { TO_WIRE } from "./handles.ts";
import type { WireForm } from "./handles.ts";

/** Made once: an object for each message would be a tenth of the garbage. */
export const NO_OPTIONS: EncodeOptions = {};

/** Elements up to which an array is not looked through for a packed form. */
const SMALL_ARRAY = 32;
/** Names of the last element of arrays of each length up to that. */
const LAST_NAMES = Array.from(
  { length: SMALL_ARRAY + 1 },
  (_, i) => `${i - 1}`,
);

/** Tags of arrays of numbers, by the bytes of each. */
const NUMBER_ARRAYS = {
  1: tags.INT8_ARRAY,
  2: tags.INT16_ARRAY,
  4: tags.INT32_ARRAY,
  8: tags.FLOAT64_ARRAY,
};

const hasOwn = Object.hasOwn;
// As methods of a subclass may do anything.
const mapForEach = Map.prototype.forEach;
const setForEach = Set.prototype.forEach;
const getTime = Date.prototype.getTime;

/** Kinds that cannot be read without their prototype. */
const NEEDS_GETTERS = new Set<Kind>(["regexp", "view", "buffer"]);

/** Why some things cannot be sent, where there is a way round. */
const REASONS: Record<string, string> = {
  Promise: "its value is not there yet, await it first",
  Blob: "its content cannot be read at once, send its bytes() instead",
  File: "its content cannot be read at once, send its bytes() instead",
};

/** A container whose content follows later. */
type Postponed =
  | {
    readonly tag: typeof tags.OBJECT | typeof tags.INSTANCE;
    readonly value: object;
  }
  | { readonly tag: typeof tags.SPARSE_ARRAY; readonly value: unknown[] }
  | { readonly tag: typeof tags.MAP; readonly value: Map<unknown, unknown> }
  | { readonly tag: typeof tags.SET; readonly value: Set<unknown> }
  | {
    readonly tag: typeof tags.ERROR;
    readonly value: Error;
    readonly head: ErrorHead;
  };

/** Messages so far, to tell which message has explained a shape. */
let messages = 0;

/** See the module. */
export class Encoder extends Writer {
  #options: EncodeOptions = NO_OPTIONS;
  #message = 0;
  /** How many shapes the message has explained. */
  #shapes = 0;
  /** The shape of the last plain object at each depth, whatever the message. */
  #expected: (SentShape | undefined)[] = new Array(RECURSION_LIMIT)
    .fill(undefined);
  /**
   * Whether a program has given all objects names to inherit, which would be
   * taken for their own where a shape is expected.
   */
  #inheriting = false;

  #depth = 0;
  /** The step down from the container at each level. */
  #path: unknown[] = new Array(HOOK_RECURSION_LIMIT + 1).fill(undefined);
  #postponed: Postponed[] = [];
  #postponing = false;

  readonly #identities = new Identities();
  #referred = false;
  /** Ids of the objects whose hook's data is being written. */
  #open: number[] = [];

  /** Writes a message. */
  run(value: unknown, options: EncodeOptions): void {
    this.#options = options;
    this.#message = ++messages;
    this.#inheriting = hasNames(Object.prototype);
    if (this.#inheriting) this.#expected.fill(undefined);
    this.byte(tags.VERSION);
    this.write(value);
    if (this.#postponed.length > 0) this.#writePostponed();
    if (this.#referred) this.setFirst(tags.VERSION | tags.FLAG_REFERENCES);
  }

  /** Forgets the message, and all of the value. */
  override clear(): void {
    super.clear();
    this.#options = NO_OPTIONS;
    this.#shapes = 0;
    if (this.#depth > 0) {
      // It has failed half-way.
      this.#path.fill(undefined);
      this.#depth = 0;
    }
    if (this.#postponed.length > 0) this.#postponed = [];
    this.#postponing = false;
    this.#identities.clear();
    this.#referred = false;
    if (this.#open.length > 0) this.#open = [];
  }

  /** Writes a value. */
  write(value: unknown): void {
    switch (typeof value) {
      case "number":
        // The case that is worth a shortcut: ids, counts, small arguments.
        if (value > 0 && (value & 0x7f) === value) return this.byte(value);
        return this.number(value);
      case "string":
        return this.string(value);
      case "object":
        return value === null ? this.byte(tags.NULL) : this.#object(value);
      case "boolean":
        return this.byte(value ? tags.TRUE : tags.FALSE);
      case "undefined":
        return this.byte(tags.UNDEFINED);
      case "bigint":
        return this.#bigint(value);
      case "function":
        return this.#function(value);
      case "symbol":
        return this.#refuse(
          "a symbol",
          "it means something only where it was made",
        );
    }
  }

  // Refusing

  #pathText(): string {
    let text = this.#options.root ?? "value";
    // Kept for the levels of recursion only; see `#writePostponed()`.
    if (this.#postponing) text += "…";
    for (let i = 0; i < this.#depth; i++) text += stepText(this.#path[i]);
    return text;
  }

  #refuse(what: string, reason: string): never {
    const path = this.#pathText();
    throw new EncodingError(`Cannot send ${what} as ${reason}: "${path}"`, {
      path,
    });
  }

  // Identity

  #reference(id: number): void {
    if (this.#open.includes(id)) {
      this.#refuse("an object", "what its hook gave to send contains it");
    }
    this.#referred = true;
    this.byte(tags.REFERENCE);
    this.varint(id);
  }

  // Containers

  #object(value: object): void {
    const id = this.#identities.meet(value);
    if (id >= 0) return this.#reference(id);
    if (isProxy(value)) return this.#proxy(value);
    if (Array.isArray(value)) return this.#array(value);
    const prototype = Object.getPrototypeOf(value);
    if (TO_WIRE in value) return this.#handle(value);
    if (prototype === Object.prototype) {
      if (this.#asExpected(value)) return;
      const keys = Object.keys(value);
      if (looksLikeArguments(keys) && isArgumentsObject(value)) {
        this.#refuseKind("arguments object");
      }
      return this.#plain(value, keys);
    }
    if (prototype === null) return this.#unknown(value);
    const registered = classOf(prototype);
    if (registered !== undefined) return this.#instance(value, registered);
    this.#special(value, prototype);
  }

  /** Enters a container, or says that its content has to wait. */
  #enter(): boolean {
    if (this.#depth < RECURSION_LIMIT) {
      this.#depth++;
      return true;
    }
    return this.#enterDeep();
  }

  #enterDeep(): boolean {
    // A reviver on the other side needs its data whole.
    if (this.#open.length === 0) return false;
    if (this.#depth >= HOOK_RECURSION_LIMIT) {
      this.#refuse(
        "an object",
        `what a hook gives must not be nested deeper than ${HOOK_RECURSION_LIMIT} levels`,
      );
    }
    this.#depth++;
    return true;
  }

  #leave(): void {
    this.#path[--this.#depth] = undefined;
  }

  /** Puts the content of a container aside; its head follows. */
  #postpone(postponed: Postponed): void {
    this.byte(tags.POSTPONED);
    this.byte(postponed.tag);
    this.#postponed.push(postponed);
  }

  /**
   * Writes what was put aside, and what is put aside meanwhile. The way there
   * is not known any more: it has more steps than anybody would read.
   */
  #writePostponed(): void {
    this.#postponing = true;
    for (const postponed of this.#postponed) {
      this.#enter();
      switch (postponed.tag) {
        case tags.OBJECT:
        case tags.INSTANCE:
          this.#properties(postponed.value, Object.keys(postponed.value));
          break;
        case tags.SPARSE_ARRAY:
          this.#sparseElements(postponed.value, Object.keys(postponed.value));
          break;
        case tags.MAP:
          this.#entries(postponed.value);
          break;
        case tags.SET:
          this.#members(postponed.value);
          break;
        case tags.ERROR:
          this.#errorContent(postponed.value, postponed.head);
      }
      this.#leave();
    }
  }

  /** Writes a plain object, or something that arrives as one. */
  #plain(value: object, keys: readonly string[]): void {
    const count = keys.length;
    if (!this.#enter()) return this.#postpone({ tag: tags.OBJECT, value });
    const shape = count > 0 && count <= SHAPE_KEYS_MAX
      ? this.#shape(keys)
      : false;
    if (shape) {
      this.#values(value, keys);
    } else {
      this.byte(tags.OBJECT);
      this.#properties(value, keys);
    }
    this.#leave();
  }

  /**
   * Writes an object if it has the shape of the last one at the same depth, or
   * says that it has another. Most have, and to see it so takes half as long as
   * to list the keys and find their shape.
   */
  #asExpected(value: object): boolean {
    const depth = this.#depth;
    const shape = this.#expected[depth];
    if (shape === undefined || !hasKeys(value, shape.keys)) return false;
    // The list of shapes expected is not longer than recursion is deep.
    this.#depth = depth + 1;
    this.#explain(shape);
    this.#values(value, shape.keys);
    this.#leave();
    return true;
  }

  /** Writes the shape of an object, or says that it has none. */
  #shape(keys: readonly string[]): boolean {
    const shape = sentShape(keys, this.#message);
    if (!this.#explain(shape)) return false;
    const level = this.#depth - 1;
    // What might be an arguments object has to be looked at each time.
    if (
      level < RECURSION_LIMIT && !this.#inheriting && !looksLikeArguments(keys)
    ) this.#expected[level] = shape;
    return true;
  }

  /** Writes a shape, in full if it is new, or says that it is too long. */
  #explain(shape: SentShape): boolean {
    if (shape.message === this.#message) {
      if (shape.id < 16) {
        this.byte(tags.KNOWN_SHAPE + shape.id);
      } else {
        this.byte(tags.FAR_SHAPE);
        this.varint(shape.id);
      }
      return true;
    }
    const block = blockOf(shape);
    if (block === undefined) return false;
    shape.message = this.#message;
    shape.id = this.#shapes++;
    this.byte(tags.NEW_SHAPE);
    this.varint(block.length);
    this.reserve(block.length);
    const position = this.position;
    for (let i = 0; i < block.length; i++) {
      this.bytes[position + i] = block[i] as number;
    }
    this.position = position + block.length;
    return true;
  }

  /** Writes the values of an object with a shape. */
  #values(value: object, keys: readonly string[]): void {
    const level = this.#depth - 1;
    const count = keys.length;
    let next = 0;
    // V8 reads properties in such a loop without looking them up.
    for (const key in value) {
      if (key !== keys[next]) {
        // A getter has deleted keys meanwhile, or added this one.
        const place = keys.indexOf(key, next);
        if (place < 0) continue;
        for (; next < place; next++) this.byte(tags.ABSENT);
      }
      this.#path[level] = key;
      this.write((value as Record<string, unknown>)[key]);
      // Inherited keys would come next.
      if (++next === count) return;
    }
    for (; next < count; next++) this.byte(tags.ABSENT);
  }

  /** Writes keys and values. */
  #properties(value: object, keys: readonly string[]): void {
    const level = this.#depth - 1;
    this.varint(keys.length);
    for (const key of keys) {
      this.#path[level] = key;
      this.string(key);
      if (hasOwn(value, key)) {
        this.write((value as Record<string, unknown>)[key]);
      } else {
        this.byte(tags.ABSENT);
      }
    }
  }

  #array(value: unknown[]): void {
    if (!this.#enter()) {
      return this.#postpone({ tag: tags.SPARSE_ARRAY, value });
    }
    this.#elements(value);
    this.#leave();
  }

  #elements(value: unknown[]): void {
    const count = value.length;
    if (count <= SMALL_ARRAY) {
      const keys = Object.keys(value);
      if (
        keys.length !== count ||
        (count > 0 && keys[count - 1] !== LAST_NAMES[count])
      ) {
        this.byte(tags.SPARSE_ARRAY);
        return this.#sparseElements(value, keys);
      }
    } else if (this.#largeArray(value)) {
      return;
    }
    if (count < 16) {
      this.byte(tags.SHORT_ARRAY + count);
    } else {
      this.byte(tags.ARRAY);
      this.varint(count);
    }
    const level = this.#depth - 1;
    for (let i = 0; i < count; i++) {
      this.#path[level] = i;
      this.write(value[i]);
    }
  }

  /** Writes an array that has a form of its own, or says that it has none. */
  #largeArray(value: unknown[]): boolean {
    const form = packing(value);
    if (form === undefined) return false;
    if (form === "sparse") {
      this.byte(tags.SPARSE_ARRAY);
      this.#sparseElements(value, Object.keys(value));
    } else if (form === "strings") {
      this.byte(tags.STRING_ARRAY);
      this.string(JSON.stringify(value));
    } else {
      this.byte(NUMBER_ARRAYS[form]);
      this.varint(value.length);
      this.numbers(value as number[], form);
    }
    return true;
  }

  /** Writes an array by its keys: the indices come first, in order. */
  #sparseElements(value: unknown[], keys: readonly string[]): void {
    const level = this.#depth - 1;
    const { length } = value;
    const named = keys.findIndex((key) => !isIndex(key));
    const count = named < 0 ? keys.length : named;
    this.varint(length);
    this.varint(count);
    let next = 0;
    for (let i = 0; i < count; i++) {
      const index = Number(keys[i]);
      this.varint(index - next);
      next = index + 1;
      this.#path[level] = index;
      if (hasOwn(value, index)) this.write(value[index]);
      else this.byte(tags.ABSENT);
    }
    this.#properties(value, keys.slice(count));
  }

  #map(value: Map<unknown, unknown>): void {
    if (!this.#enter()) return this.#postpone({ tag: tags.MAP, value });
    this.byte(tags.MAP);
    this.#entries(value);
    this.#leave();
  }

  #entries(value: Map<unknown, unknown>): void {
    const level = this.#depth - 1;
    // All at first, since a getter may change the map meanwhile.
    const flat: unknown[] = [];
    mapForEach.call(value, (entry, key) => flat.push(key, entry));
    const keyStep = new MemberStep("keys");
    const valueStep = new MapStep();
    this.varint(flat.length / 2);
    for (let i = 0; i < flat.length; i += 2) {
      const key = flat[i];
      keyStep.index = i / 2;
      this.#path[level] = keyStep;
      this.write(key);
      valueStep.key = key;
      this.#path[level] = valueStep;
      this.write(flat[i + 1]);
    }
  }

  #set(value: Set<unknown>): void {
    if (!this.#enter()) return this.#postpone({ tag: tags.SET, value });
    this.byte(tags.SET);
    this.#members(value);
    this.#leave();
  }

  #members(value: Set<unknown>): void {
    const members: unknown[] = [];
    setForEach.call(value, (member) => members.push(member));
    const step = new MemberStep("values");
    this.#path[this.#depth - 1] = step;
    this.varint(members.length);
    for (let i = 0; i < members.length; i++) {
      step.index = i;
      this.write(members[i]);
    }
  }

  #error(value: Error): void {
    const head = errorHead(value);
    const inside = this.#enter();
    if (inside) this.byte(tags.ERROR);
    else this.#postpone({ tag: tags.ERROR, value, head });
    this.string(head.className);
    for (const text of head.fixed) this.string(text);
    if (!inside) return;
    this.#errorContent(value, head);
    this.#leave();
  }

  #errorContent(value: Error, head: ErrorHead): void {
    const level = this.#depth - 1;
    const { stack } = value;
    if (typeof stack === "string") this.string(stack);
    else this.byte(tags.UNDEFINED);
    const hidden = hiddenProperties(value, head);
    this.varint(hidden.length);
    for (const [key, property] of hidden) {
      this.#path[level] = key;
      this.string(key);
      this.write(property);
    }
    this.#properties(
      value,
      Object.keys(value).filter((key) => key !== "stack"),
    );
  }

  // Hooks

  #proxy(value: object): void {
    // Reading this runs a trap, which may be how a library object is made.
    if (typeof Reflect.get(value, TO_WIRE) === "function") {
      return this.#handle(value);
    }
    this.#refuse("a Proxy", "its handler cannot travel");
  }

  #handle(value: object): void {
    const form = this.#wireForm(value);
    if (this.#options.tags?.has(form.tag) === false) {
      this.#refuse(`a ${form.tag}`, "it has no meaning to who receives this");
    }
    this.byte(tags.HANDLE);
    this.string(form.tag);
    this.#data(form.data);
  }

  #wireForm(value: object): WireForm {
    const { target } = this.#options;
    try {
      return (value as { [TO_WIRE](target: unknown): WireForm })
        [TO_WIRE](target);
    } catch (error) {
      const isPlaced = error instanceof EncodingError && error.path !== "";
      if (!(error instanceof ProcessError) || isPlaced) throw error;
      // A library object that cannot travel does not know where it is.
      const path = this.#pathText();
      throw new EncodingError(`${error.message}: "${path}"`, {
        path,
        cause: error,
      });
    }
  }

  /** Writes what a hook gave for the object that was met last. */
  #data(data: unknown): void {
    this.#open.push(this.#identities.count - 1);
    this.#enter();
    this.#path[this.#depth - 1] = undefined;
    this.write(data);
    this.#leave();
    this.#open.pop();
  }

  // deno-lint-ignore ban-types -- any function at all
  #function(value: Function): void {
    const id = this.#identities.meet(value);
    if (id >= 0) return this.#reference(id);
    if (TO_WIRE in value) return this.#handle(value);
    const options = this.#options;
    if (options.encodeFunction === undefined) {
      this.#refuse(
        "a function",
        "it has no reference another process could load",
      );
    }
    const reference = options.encodeFunction(value, this.#pathText());
    this.byte(tags.FUNCTION);
    this.#data(reference);
  }

  #sharedBuffer(value: SharedArrayBuffer): void {
    const options = this.#options;
    if (options.encodeSharedBuffer === undefined) {
      this.#refuse(
        "a SharedArrayBuffer",
        "its memory cannot be shared with the receiver",
      );
    }
    const reference = options.encodeSharedBuffer(
      value,
      this.#pathText(),
    );
    this.byte(tags.SHARED_BUFFER);
    this.#data(reference);
  }

  #instance(value: object, registered: RegisteredClass): void {
    const { name, isError, encode, decode } = registered;
    if (encode !== undefined || decode !== undefined) {
      const data = encode === undefined ? { ...value } : encode(value);
      this.byte(tags.CONVERTED);
      this.string(name);
      return this.#data(data);
    }
    if (isError) return this.#error(value as Error);
    if (!this.#enter()) {
      this.#postpone({ tag: tags.INSTANCE, value });
      this.string(name);
      return;
    }
    this.byte(tags.INSTANCE);
    this.string(name);
    this.#properties(value, Object.keys(value));
    this.#leave();
  }

  // Everything else

  #unknown(value: object): void {
    if (isModuleNamespaceObject(value)) this.#refuseKind("module");
    this.#special(value, null);
  }

  #special(value: object, prototype: object | null): void {
    let kind = prototype === null ? "plain" : kindOf(value, prototype);
    if (kind === "plain") {
      const keys = Object.keys(value);
      kind = plainKindOf(value, keys);
      if (kind === "plain") return this.#plain(value, keys);
      // The getters of a pattern, a buffer or a view may be gone.
      if (NEEDS_GETTERS.has(kind)) value = structuredClone(value);
    }
    switch (kind) {
      case "map":
        return this.#map(value as Map<unknown, unknown>);
      case "set":
        return this.#set(value as Set<unknown>);
      case "date":
        this.byte(tags.DATE);
        return this.float64(getTime.call(value));
      case "regexp":
        this.byte(tags.REGEXP);
        this.string((value as RegExp).source);
        return this.string((value as RegExp).flags);
      case "error":
        return this.#error(value as Error);
      case "view":
        return this.#view(value as ArrayBufferView);
      case "buffer":
        return this.#buffer(value as ArrayBuffer);
      case "shared buffer":
        return this.#sharedBuffer(value as SharedArrayBuffer);
      case "boxed":
        return this.#boxed(value);
      case "url":
        this.byte(tags.URL_TAG);
        return this.string((value as URL).href);
      default:
        this.#refuseKind(kind.refused);
    }
  }

  #refuseKind(name: string): never {
    const article = /^[aeio]/i.test(name) ? "an" : "a";
    this.#refuse(
      `${article} ${name}`,
      REASONS[name] ?? "it has state that cannot be copied",
    );
  }

  #bigint(value: bigint): void {
    const negative = value < 0n ? 1 : 0;
    const magnitude = negative ? -value : value;
    this.byte(tags.BIGINT);
    const digits = magnitude.toString(16);
    const count = Math.ceil(digits.length / 2);
    this.varint(count * 2 + negative);
    this.reserve(count);
    for (let i = 0; i < count; i++) {
      const end = digits.length - 2 * i;
      this.bytes[this.position++] = hexDigit(digits, end - 1) |
        (hexDigit(digits, end - 2) << 4);
    }
  }

  #boxed(value: object): void {
    this.byte(tags.BOXED);
    this.write(unboxed(value));
  }

  #buffer(value: ArrayBuffer): void {
    if (value.detached) this.#refuseDetached();
    this.byte(value.resizable ? tags.RESIZABLE_BUFFER : tags.BUFFER);
    this.varint(value.byteLength);
    if (value.resizable) this.varint(value.maxByteLength);
    this.raw(new Uint8Array(value));
  }

  #refuseDetached(): never {
    this.#refuse("an ArrayBuffer", "it is detached");
  }

  #view(value: ArrayBufferView): void {
    const { buffer } = value;
    const shared = isSharedArrayBuffer(buffer);
    if (!shared && buffer.detached) this.#refuseDetached();
    const kind = viewKind(value);
    if (shared ? buffer.growable : buffer.resizable) {
      return this.#resizableView(value, kind);
    }
    const { byteLength } = value;
    if (
      !shared && byteLength === buffer.byteLength &&
      this.#identities.meet(buffer) < 0
    ) {
      this.byte(tags.WHOLE_VIEW);
      this.byte(kind);
      this.varint(byteLength);
      return this.raw(new Uint8Array(buffer));
    }
    this.#viewOf(value, kind, false);
  }

  #resizableView(value: ArrayBufferView, kind: number): void {
    if (isOutOfBounds(value)) {
      this.#refuse(
        `a view`,
        "its buffer has become too short for it",
      );
    }
    this.#viewOf(value, kind, isLengthTracking(value));
  }

  #viewOf(value: ArrayBufferView, kind: number, tracking: boolean): void {
    this.byte(tags.VIEW);
    this.byte(kind);
    this.write(value.buffer);
    this.varint(value.byteOffset);
    this.varint(tracking ? 0 : viewLength(value) + 1);
  }
}

/** Arguments are objects like others in all but what the engine says of them. */
function looksLikeArguments(keys: readonly string[]): boolean {
  return keys.length === 0 || keys[0] === "0";
}

/** Whether an object has these keys, in this order, and no others. */
function hasKeys(value: object, keys: readonly string[]): boolean {
  let count = 0;
  for (const key in value) {
    if (key !== keys[count]) return false;
    count++;
  }
  return count === keys.length;
}

function hasNames(prototype: object): boolean {
  for (const _ in prototype) return true;
  return false;
}

function hexDigit(digits: string, at: number): number {
  const unit = digits.charCodeAt(at);
  // NaN before the first digit.
  return unit >= 0x61 ? unit - 0x57 : unit & 0xf;
}
