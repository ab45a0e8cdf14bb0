/**
 * The walk over bytes that makes the value: the mirror of `_encoder.ts`.
 *
 * The bytes may come from anybody, so:
 *
 * - Every length is checked against the bytes that are left before memory is
 *   taken for it, and what cannot be so checked (the length of a sparse array)
 *   takes none.
 * - No code runs but the revivers that this program has registered. Properties
 *   are made as own ones whatever they are called.
 * - Recursion ends at the same depth as the encoder's.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { EncodingError } from "../errors.ts";
import { isFixed, newError, setProperty } from "./_errors.ts";
import { Reader } from "./_reader.ts";
import { receivedShape } from "./_shapes.ts";
import type { ReceivedShape } from "./_shapes.ts";
import * as tags from "./_tags.ts";
import { HOOK_RECURSION_LIMIT } from "./_tags.ts";
import { viewClass } from "./_views.ts";
import { classNamed } from "./classes.ts";
import type { RegisteredClass } from "./classes.ts";
import type { MessageOptions } from "./decoder.ts";
import { reviverOf, unknownKind } from "./handles.ts";
import type { Lifted } from "./lifted.ts";

/** Made once: an object for each message would be a tenth of the garbage. */
export const NO_OPTIONS: MessageOptions = {};

/** In place of an object that is not made yet. */
const PENDING: unique symbol = Symbol("pending");
/** In place of a property that the object does not have. */
const ABSENT_VALUE: unique symbol = Symbol("absent");
/**
 * Elements for which room is made ahead. More only come with more bytes, or a
 * few bytes of nested arrays could claim memory without limit.
 */
const ROOM_AHEAD = 1024;
/** Shapes for which the memory is kept from one message to the next. */
const SHAPES_KEPT = 64;
/** Elements by which a sparse array may be longer than its last one is far. */
const GAP = 1024;
/** V8's longest bigint has 2^30 bits. */
const BIGINT_BYTES_MAX = 2 ** 27;
const HEX = Array.from(
  { length: 256 },
  (_, byte) => byte.toString(16).padStart(2, "0"),
);

/** A container whose content follows later. */
interface Postponed {
  readonly tag: number;
  readonly value: object;
  /** How deep it lies. */
  readonly depth: number;
}

/** Stands for a class that is not known where one only salvages. */
const UNKNOWN_CLASS: RegisteredClass = {
  name: "",
  cls: Object,
  isError: false,
  encode: undefined,
  decode: undefined,
};

/** Makes nothing of what is passed over. */
const passOver = (): unknown => ({});

/** See the module. */
export class Decoder extends Reader {
  #options: MessageOptions = NO_OPTIONS;
  /** How many library objects have been met. */
  #handles = 0;
  #maxDepth = Infinity;
  /** Depth of recursion. */
  #depth = 0;
  /** How deep the value lies at which recursion began. */
  #base = 0;
  #shapes: ReceivedShape[] = [];
  /** How many of them are of this message. */
  #shapeCount = 0;
  /** Whether the message refers to what came before. */
  #referring = false;
  #met: unknown[] = [];
  #postponed: Postponed[] = [];

  /** Reads a message, which starts at an offset if it is in one piece. */
  run(
    message: Uint8Array | Lifted,
    options: MessageOptions,
    from: number,
  ): unknown {
    if (message instanceof Uint8Array) this.open(message, from);
    else this.open(message.bytes, 0, message.payloads);
    this.#options = options;
    this.#maxDepth = options.maxDepth ?? Infinity;
    // Zeroed memory that nobody looks at costs nothing, however much it is.
    if (options.scouts) this.fills = false;
    else if (options.allocate) this.allocate = options.allocate;
    const version = this.byte();
    this.#referring = (version & tags.FLAG_REFERENCES) !== 0;
    if ((version & ~tags.FLAGS) !== tags.VERSION) {
      throw new EncodingError(
        `Cannot decode bytes as they are of another version of the format: expected ${tags.VERSION}, found ${
          version & ~tags.FLAGS
        }`,
      );
    }
    if ((version & tags.FLAG_TABLE) !== 0) this.#skipTable();
    const value = this.#value();
    if (this.#postponed.length > 0) this.#readPostponed();
    this.finish();
    return value;
  }

  /** Forgets the message and the value. */
  override close(): void {
    super.close();
    this.#options = NO_OPTIONS;
    this.#handles = 0;
    this.#depth = 0;
    this.#base = 0;
    // An array that is emptied gives its memory back, and takes it again.
    if (this.#shapeCount > SHAPES_KEPT) this.#shapes = [];
    this.#shapeCount = 0;
    if (this.#met.length > 0) this.#met = [];
    if (this.#postponed.length > 0) this.#postponed = [];
  }

  /** Where payloads lie is for those who copy them; here they are met. */
  #skipTable(): void {
    for (let numbers = this.count(2) * 2; numbers > 0; numbers--) this.varint();
  }

  /** Reads a value that must be there. */
  #value(): unknown {
    const value = this.#read();
    if (value === ABSENT_VALUE) this.fail("a value that is left out");
    return value;
  }

  #read(): unknown {
    if (this.position >= this.end) this.fail("too few bytes");
    const tag = this.bytes[this.position++] as number;
    if (tag < tags.SMALL_INTEGERS_END) return tag;
    if (tag < tags.SHORT_STRINGS_END) {
      return this.latin1(tag - tags.SHORT_STRING);
    }
    if (tag < tags.SHORT_ARRAYS_END) return this.#array(tag - tags.SHORT_ARRAY);
    if (tag < tags.KNOWN_SHAPES_END) {
      return this.#knownShape(tag - tags.KNOWN_SHAPE);
    }
    if (tag < tags.NEGATIVE_INTEGERS_END) {
      return tag - tags.NEGATIVE_INTEGERS_END;
    }
    // The more frequent, the further up.
    switch (tag) {
      case tags.FLOAT64:
        return this.float64();
      case tags.INT16:
        return this.int16();
      case tags.INT32:
        return this.int32();
      case tags.LATIN1:
        return this.latin1(this.varint());
      case tags.NULL:
        return null;
      case tags.TRUE:
        return true;
      case tags.FALSE:
        return false;
      case tags.UNDEFINED:
        return undefined;
      case tags.NEW_SHAPE:
        return this.#newShape();
      case tags.UTF16:
        return this.utf16();
      case tags.UTF8:
        return this.utf8();
      case tags.ARRAY:
        return this.#array(this.count(1));
      default:
        return this.#rare(tag);
    }
  }

  #rare(tag: number): unknown {
    switch (tag) {
      case tags.FAR_SHAPE:
        return this.#knownShape(this.varint());
      case tags.REFERENCE:
        return this.#reference();
      case tags.ABSENT:
        return ABSENT_VALUE;
      case tags.BIGINT:
        return this.#bigint();
      case tags.INT8_ARRAY:
        return this.#numbers(Int8Array);
      case tags.INT16_ARRAY:
        return this.#numbers(Int16Array);
      case tags.INT32_ARRAY:
        return this.#numbers(Int32Array);
      case tags.FLOAT64_ARRAY:
        return this.#numbers(Float64Array);
      case tags.STRING_ARRAY:
        return this.#strings();
      case tags.DATE:
        return this.#meet(new Date(this.float64()));
      case tags.REGEXP:
        return this.#regexp();
      case tags.BOXED:
        return this.#boxed();
      case tags.URL_TAG:
        return this.#url();
      case tags.CONVERTED:
        return this.#converted();
      case tags.HANDLE:
        return this.#handle();
      case tags.FUNCTION:
        return this.#function();
      case tags.SHARED_BUFFER:
        return this.#sharedBuffer();
      case tags.BUFFER:
        return this.#meet(this.raw(this.varint()).buffer);
      case tags.RESIZABLE_BUFFER:
        return this.#resizableBuffer();
      case tags.WHOLE_VIEW:
        return this.#wholeView();
      case tags.VIEW:
        return this.#view();
      case tags.POSTPONED:
        return this.#postpone();
      default: {
        const container = this.#container(tag);
        this.#fill(container, tag);
        return container;
      }
    }
  }

  // Identity

  /** Gives an object its id. */
  #meet<T>(value: T): T {
    if (this.#referring) this.#met.push(value);
    return value;
  }

  /** Gives an id to what is yet to be made. */
  #expect(): number {
    return this.#met.push(PENDING) - 1;
  }

  #reference(): unknown {
    const id = this.varint();
    if (id >= this.#met.length || this.#met[id] === PENDING) {
      this.fail("a reference to nothing");
    }
    return this.#met[id];
  }

  // Containers

  #enter(): void {
    if (this.#depth >= HOOK_RECURSION_LIMIT) this.fail("too deep a nesting");
    if (this.#base + ++this.#depth > this.#maxDepth) {
      throw new EncodingError(
        `Cannot decode bytes as objects are nested too deeply in them: the limit is ${this.#maxDepth}`,
      );
    }
  }

  #newShape(): Record<string, unknown> {
    const shape = receivedShape(this, this.varint());
    this.#shapes[this.#shapeCount++] = shape;
    return this.#shaped(shape);
  }

  #knownShape(id: number): Record<string, unknown> {
    if (id >= this.#shapeCount) this.fail("a shape that was not explained");
    return this.#shaped(this.#shapes[id] as ReceivedShape);
  }

  #shaped(shape: ReceivedShape): Record<string, unknown> {
    const { keys } = shape;
    const value: Record<string, unknown> = this.#meet({});
    this.#enter();
    if (shape.delicate) {
      for (const key of keys) define(value, key, this.#read());
    } else {
      for (let i = 0; i < keys.length; i++) {
        const property = this.#read();
        if (property !== ABSENT_VALUE) value[keys[i] as string] = property;
      }
    }
    this.#depth--;
    return value;
  }

  #array(count: number): unknown[] {
    this.demand(count);
    const values: unknown[] = new Array(Math.min(count, ROOM_AHEAD));
    this.#meet(values);
    this.#enter();
    for (let i = 0; i < count; i++) values[i] = this.#value();
    this.#depth--;
    return values;
  }

  /** Makes a container of this kind, with nothing in it. */
  #container(tag: number): object {
    switch (tag) {
      case tags.OBJECT:
        return this.#meet({});
      case tags.SPARSE_ARRAY:
        return this.#meet([]);
      case tags.MAP:
        return this.#meet(new Map());
      case tags.SET:
        return this.#meet(new Set());
      case tags.ERROR:
        return this.#meet(this.#error());
      case tags.INSTANCE: {
        const { cls } = this.#class();
        return this.#meet(Object.create(cls.prototype));
      }
      default:
        this.fail("an unknown tag");
    }
  }

  /** Reads the content of a container. */
  #fill(container: object, tag: number): void {
    this.#enter();
    switch (tag) {
      case tags.SPARSE_ARRAY:
        this.#sparseElements(container as unknown[]);
        break;
      case tags.MAP:
        this.#entries(container as Map<unknown, unknown>);
        break;
      case tags.SET:
        this.#members(container as Set<unknown>);
        break;
      case tags.ERROR:
        this.#errorContent(container as Error);
        break;
      default:
        this.#properties(container);
    }
    this.#depth--;
  }

  #postpone(): object {
    const tag = this.byte();
    const value = this.#container(tag);
    this.#postponed.push({ tag, value, depth: this.#base + this.#depth });
    return value;
  }

  #readPostponed(): void {
    for (const { tag, value, depth } of this.#postponed) {
      this.#base = depth;
      this.#fill(value, tag);
    }
  }

  #properties(container: object): void {
    const count = this.count(2);
    for (let i = 0; i < count; i++) {
      const key = this.string();
      define(container, key, this.#read());
    }
  }

  #sparseElements(values: unknown[]): void {
    const length = this.varint();
    if (length >= 2 ** 32) this.fail("too long an array");
    const count = this.count(2);
    let next = 0;
    for (let i = 0; i < count; i++) {
      const index = next + this.varint();
      if (index >= length) this.fail("an element past the end of its array");
      next = index + 1;
      const value = this.#read();
      if (value !== ABSENT_VALUE) values[index] = value;
    }
    setLength(values, length);
    this.#properties(values);
  }

  #entries(map: Map<unknown, unknown>): void {
    const count = this.count(2);
    for (let i = 0; i < count; i++) {
      const key = this.#value();
      map.set(key, this.#value());
    }
  }

  #members(set: Set<unknown>): void {
    const count = this.count(1);
    for (let i = 0; i < count; i++) set.add(this.#value());
  }

  #error(): Error {
    const className = this.string();
    if (!isFixed(className)) {
      return this.#salvages ? new Error() : newError(className);
    }
    const name = this.string();
    return new DOMException(this.string(), name);
  }

  #errorContent(error: Error): void {
    const stack = this.#value();
    if (stack !== undefined && typeof stack !== "string") {
      this.fail("a stack that is not a string");
    }
    // By its own setter, which leaves the property as the engine makes it.
    error.stack = stack as string;
    const count = this.count(2);
    for (let i = 0; i < count; i++) {
      const key = this.string();
      setProperty(error, key, this.#value(), false);
    }
    this.#properties(error);
  }

  // Hooks

  #class(): RegisteredClass {
    const name = this.string();
    const registered = classNamed(name);
    if (registered === undefined && this.#salvages) return UNKNOWN_CLASS;
    if (registered === undefined) {
      throw new EncodingError(
        `Cannot decode an instance of "${name}" as no such class is registered here: call registerClass() in a module that both sides load`,
      );
    }
    return registered;
  }

  /** Reads a value that is a part of what is not a container. */
  #part(): unknown {
    this.#enter();
    const part = this.#value();
    this.#depth--;
    return part;
  }

  /** Reads data, gives it to a reviver, and gives the id to what that makes. */
  #revive(revive: (data: unknown) => unknown): unknown {
    const id = this.#expect();
    const part = this.#part();
    const value = this.#options.scouts ? {} : revive(part);
    this.#met[id] = value;
    return value;
  }

  get #salvages(): boolean {
    return this.#options.salvagesFrom !== undefined;
  }

  #converted(): unknown {
    const { cls, decode } = this.#class();
    if (this.#salvages) return this.#revive(passOver);
    return this.#revive(
      decode ?? ((data) => withFields(Object.create(cls.prototype), data)),
    );
  }

  #handle(): unknown {
    const tag = this.string();
    const { tags: accepted } = this.#options;
    const revive = accepted?.has(tag) === false ? undefined : reviverOf(tag);
    const index = this.#handles++;
    const { salvagesFrom } = this.#options;
    if (salvagesFrom !== undefined) {
      if (revive === undefined || index < salvagesFrom) {
        return this.#revive(passOver);
      }
    } else if (revive === undefined) throw unknownKind(tag);
    this.#options.beforeHandle?.(index);
    return this.#revive((data) => revive(data, this.#options.source));
  }

  #function(): unknown {
    const options = this.#options;
    if (this.#salvages) return this.#revive(passOver);
    if (options.decodeFunction === undefined) {
      throw new EncodingError(
        "Cannot decode a function as functions are not accepted here",
      );
    }
    return this.#revive((data) => options.decodeFunction?.(data));
  }

  #sharedBuffer(): unknown {
    const options = this.#options;
    if (options.decodeSharedBuffer === undefined) {
      throw new EncodingError(
        "Cannot decode a SharedArrayBuffer as shared memory is not accepted here",
      );
    }
    const id = this.#expect();
    // Also for a scout: views are made of it.
    return this.#met[id] = options.decodeSharedBuffer(this.#part());
  }

  // Leaves

  #bigint(): bigint {
    const head = this.varint();
    const count = Math.floor(head / 2);
    this.demand(count);
    if (count > BIGINT_BYTES_MAX) this.fail("too long a bigint");
    let digits = "0x0";
    const start = this.position;
    for (let i = start + count - 1; i >= start; i--) {
      digits += HEX[this.bytes[i] as number];
    }
    this.position = start + count;
    const magnitude = BigInt(digits);
    return head % 2 === 1 ? -magnitude : magnitude;
  }

  #numbers(
    array: {
      new (buffer: ArrayBuffer): ArrayLike<number>;
      BYTES_PER_ELEMENT: number;
    },
  ): number[] {
    const count = this.count(array.BYTES_PER_ELEMENT);
    // Copied, as the bytes may lie at an odd offset.
    const packed = new array(this.raw(count * array.BYTES_PER_ELEMENT).buffer);
    return this.#meet(unpacked(packed));
  }

  #strings(): unknown {
    let values: unknown;
    try {
      values = JSON.parse(this.string());
    } catch (error) {
      this.fail("an array of strings that is not JSON", error);
    }
    if (
      !Array.isArray(values) ||
      !values.every((value) => typeof value === "string")
    ) {
      this.fail("something else in place of an array of strings");
    }
    return this.#meet(values);
  }

  #regexp(): RegExp {
    const source = this.string();
    const flags = this.string();
    try {
      return this.#meet(new RegExp(source, flags));
    } catch (error) {
      this.fail("a RegExp that is not one", error);
    }
  }

  #url(): URL {
    const text = this.string();
    const url = URL.parse(text);
    if (url === null) this.fail("a URL that is not one");
    return this.#meet(url);
  }

  #boxed(): unknown {
    const value = this.#part();
    switch (typeof value) {
      case "string":
      case "number":
      case "boolean":
      case "bigint":
        return this.#meet(Object(value));
      default:
        this.fail("a boxed primitive that is not one");
    }
  }

  // Buffers and views

  #resizableBuffer(): ArrayBuffer {
    const byteLength = this.varint();
    const maxByteLength = this.varint();
    const payload = this.payload(byteLength);
    if (payload === undefined) this.demand(byteLength);
    let buffer: ArrayBuffer;
    try {
      // Address space only; memory is taken as the buffer grows.
      buffer = new ArrayBuffer(byteLength, { maxByteLength });
    } catch (error) {
      this.fail("a buffer of an impossible length", error);
    }
    const start = this.position;
    new Uint8Array(buffer).set(
      payload ?? this.bytes.subarray(start, start + byteLength),
    );
    if (payload === undefined) this.position = start + byteLength;
    return this.#meet(buffer);
  }

  #wholeView(): ArrayBufferView {
    const kind = this.byte();
    const id = this.#expect();
    const { buffer } = this.raw(this.varint());
    this.#meet(buffer);
    return this.#viewOf(kind, id, buffer, 0, undefined);
  }

  #view(): ArrayBufferView {
    const kind = this.byte();
    const id = this.#expect();
    const buffer = this.#part();
    if (
      !(buffer instanceof ArrayBuffer || buffer instanceof SharedArrayBuffer)
    ) {
      this.fail("a view of something else than a buffer");
    }
    const byteOffset = this.varint();
    const length = this.varint();
    return this.#viewOf(
      kind,
      id,
      buffer,
      byteOffset,
      length === 0 ? undefined : length - 1,
    );
  }

  #viewOf(
    kind: number,
    id: number,
    buffer: ArrayBufferLike,
    byteOffset: number,
    length: number | undefined,
  ): ArrayBufferView {
    const View = viewClass(kind);
    if (View === undefined) this.fail("a view of an unknown kind");
    try {
      const view = length === undefined
        ? new View(buffer, byteOffset)
        : new View(buffer, byteOffset, length);
      this.#met[id] = view;
      return view;
    } catch (error) {
      this.fail("a view that does not fit its buffer", error);
    }
  }
}

/** Makes an own property, unless it is left out. */
function define(container: object, key: string, value: unknown): void {
  if (value === ABSENT_VALUE) return;
  if (key in container) {
    // Assignment might call a setter, such as that of `__proto__`.
    Object.defineProperty(container, key, {
      value,
      enumerable: true,
      writable: true,
      configurable: true,
    });
  } else {
    (container as Record<string, unknown>)[key] = value;
  }
}

function withFields(instance: object, fields: unknown): object {
  for (const [key, value] of Object.entries(Object(fields))) {
    define(instance, key, value);
  }
  return instance;
}

/**
 * Sets the length of an array without room for what is not there: V8 makes room
 * for up to 32 million elements if only told the length, but takes an element
 * far off for a sign that few will come.
 */
function setLength(values: unknown[], length: number): void {
  if (length - values.length > GAP) {
    values[length - 1] = undefined;
    delete values[length - 1];
  } else {
    values.length = length;
  }
}

function unpacked(packed: ArrayLike<number>): number[] {
  const count = packed.length;
  const values = new Array<number>(count);
  for (let i = 0; i < count; i++) values[i] = packed[i] as number;
  return values;
}
