/**
 * Which values are equal for the containers of a manager, as keys and as items. What
 * arrives is a new object each time, so it is the content that counts; and not how it
 * came about: in which order the keys were set, which parts are one object, or were.
 *
 * Each content has a text, which is what an object of it is made of, in one order.
 * Circles have none: these are equal if they were made in the same way.
 *
 * Runs in the server.
 *
 * @module
 */
import { classOf } from "../codec/classes.ts";
import { isWhole } from "../codec/kinds.ts";
import { decode, encode } from "../codec/mod.ts";
import { Peer } from "./_wire.ts";

/**
 * Longer texts are referred to by a number. Written out, an object that is in another
 * twice, which is in another twice, and so on, would take all memory there is.
 */
const WRITTEN_OUT_MAX = 256;

/** Nothing is sent: so a proxy, which counts who has it, must not be asked. */
const NOBODY = new Peer({ lend: refuse, borrow: refuse });

function refuse(): never {
  throw new TypeError("Cannot compare proxies by what is in them");
}

const toText = new TextDecoder("latin1");

/** Stands for all objects with the same content. */
class Content {
  static readonly #all = new Map<string, WeakRef<Content>>();
  static readonly #forgotten = new FinalizationRegistry<string>((text) => {
    if (!Content.#all.get(text)?.deref()) Content.#all.delete(text);
  });
  static #last = 0;

  /** The one with a text. */
  static of(text: string, within: ReadonlySet<Content>): Content {
    const known = Content.#all.get(text)?.deref();
    if (known) return known;
    const content = new Content(within);
    Content.#all.set(text, new WeakRef(content));
    Content.#forgotten.register(content, text);
    return content;
  }

  /** What it is called in the texts of others. */
  readonly number: number = ++Content.#last;
  /** Those its text speaks of: they keep their numbers as long as it is there. */
  readonly within: ReadonlySet<Content>;

  private constructor(within: ReadonlySet<Content>) {
    this.within = within;
  }
}

/** The text of an object, and the contents that it speaks of. */
interface Part {
  readonly text: string;
  readonly within: ReadonlySet<Content>;
}

/** Describes one value, and each object in it once. */
class Describer {
  /** What is described already; `undefined` while it is being described. */
  readonly #parts = new Map<object, Part | undefined>();

  describe(object: object): Part {
    const known = this.#parts.get(object);
    if (known) return known;
    if (this.#parts.has(object)) {
      throw new TypeError("Cannot describe a circle");
    }
    this.#parts.set(object, undefined);
    const within = new Set<Content>();
    let part: Part = { text: this.#textOf(object, within), within };
    if (part.text.length > WRITTEN_OUT_MAX) {
      const content = Content.of(part.text, within);
      part = { text: `#${content.number}`, within: new Set([content]) };
    }
    this.#parts.set(object, part);
    return part;
  }

  #textOf(object: object, within: Set<Content>): string {
    const each = (value: unknown) => this.#value(value, within);
    const fields = () => {
      const keys = Object.keys(object).sort();
      const values = object as Record<string, unknown>;
      return `{${keys.map((key) => `${each(key)}:${each(values[key])}`)}}`;
    };
    const prototype = Object.getPrototypeOf(object);
    if (prototype === Object.prototype || prototype === null) return fields();
    if (Array.isArray(object)) {
      return isWhole(object)
        ? `[${object.map(each)}]`
        : `[${object.length}]${fields()}`;
    }
    const cls = classOf(prototype);
    if (cls?.encode) return `${each(cls.name)}(${each(cls.encode(object))})`;
    if (cls && !cls.isError) return `${each(cls.name)}${fields()}`;
    if (object instanceof Map) {
      const pairs = [...object].map(([key, value]) =>
        `${each(key)}:${each(value)}`
      );
      return `Map(${pairs.sort()})`;
    }
    if (object instanceof Set) return `Set(${[...object].map(each).sort()})`;
    if (ArrayBuffer.isView(object)) {
      const { buffer, byteOffset, byteLength } = object;
      const bytes = new Uint8Array(buffer, byteOffset, byteLength);
      return `${Object.prototype.toString.call(object)}${
        each(toText.decode(bytes))
      }`;
    }
    return this.#asItArrives(object, prototype, within);
  }

  /** Objects of other classes: some arrive as plain ones, the rest has no parts. */
  #asItArrives(
    object: object,
    prototype: unknown,
    within: Set<Content>,
  ): string {
    const bytes = encode(object, { target: NOBODY });
    const text = toText.decode(bytes);
    const arrived = decode(bytes) as object;
    return Object.getPrototypeOf(arrived) === prototype
      ? `bytes${this.#value(text, within)}`
      : this.#textOf(arrived, within);
  }

  #value(value: unknown, within: Set<Content>): string {
    switch (typeof value) {
      case "string":
        return `${value.length}"${value}`;
      case "bigint":
        return `${value}n`;
      case "function":
      case "symbol":
        throw new TypeError("Cannot describe what has no content");
      case "object": {
        if (value === null) break;
        const part = this.describe(value);
        for (const content of part.within) within.add(content);
        return part.text;
      }
    }
    return String(value); // the same for 0 and -0
  }
}

/**
 * What is the same for values that are equal: themselves, but for arrays and
 * objects, which are compared by what is in them. Proxies are what they are.
 *
 * @param value The value.
 */
export function hashOf(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  try {
    const { text, within } = new Describer().describe(value);
    return Content.of(text, within);
  } catch {
    // A circle, or nested deeper than the stack is; or something that has no content.
    return hashOfBytes(value);
  }
}

function hashOfBytes(value: object): unknown {
  try {
    const bytes = encode(value, { target: NOBODY });
    return Content.of(`circle${toText.decode(bytes)}`, new Set());
  } catch {
    return value; // nothing but itself is equal to it
  }
}

/**
 * Finds what is equal to a value.
 *
 * @param value The value.
 * @returns Whether another is equal to it.
 */
export function isEqualTo(value: unknown): (other: unknown) => boolean {
  const hash = hashOf(value);
  return (other) => {
    // Most are told apart without looking into them.
    if (typeof other !== typeof value) return false;
    const otherHash = hashOf(other);
    return otherHash === hash ||
      Number.isNaN(otherHash) && Number.isNaN(hash);
  };
}
