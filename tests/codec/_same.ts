/**
 * Equality as strict as a clone deserves: same kinds and prototypes, same keys
 * in the same order, holes, `-0`, and the same objects shared at the same places.
 *
 * @module
 */
import { AssertionError } from "@std/assert";

/** Fails unless two values are alike in all that structured cloning keeps. */
export function assertSame(actual: unknown, expected: unknown): void {
  const difference = findDifference(actual, expected);
  if (difference !== undefined) {
    throw new AssertionError(
      `${difference}\nactual: ${show(actual)}\nexpected: ${show(expected)}`,
    );
  }
}

function show(value: unknown): string {
  return Deno.inspect(value, { depth: 6, showHidden: true });
}

/** Says where two values differ, or gives `undefined` if they do not. */
export function findDifference(a: unknown, b: unknown): string | undefined {
  return new Comparison().compare(a, b, "value");
}

type Bag = Record<PropertyKey, unknown>;

class Comparison {
  /** Which object of the second value each of the first must be. */
  #partners = new Map<object, object>();
  #taken = new Set<object>();

  compare(a: unknown, b: unknown, path: string): string | undefined {
    if (typeof a !== "object" || a === null || typeof b !== "object" || !b) {
      return Object.is(a, b)
        ? undefined
        : `${path}: ${show(a)} is not ${show(b)}`;
    }
    if (this.#partners.has(a) || this.#taken.has(b)) {
      return this.#partners.get(a) === b
        ? undefined
        : `${path}: not the same sharing`;
    }
    this.#partners.set(a, b);
    this.#taken.add(b);
    return this.#kinds(a, b, path) ?? this.#inside(a, b, path) ??
      this.#properties(a as Bag, b as Bag, path);
  }

  #kinds(a: object, b: object, path: string): string | undefined {
    const [kindA, kindB] = [a, b].map((value) =>
      Object.prototype.toString.call(value)
    );
    if (kindA !== kindB) return `${path}: ${kindA} is not ${kindB}`;
    if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) {
      return `${path}: not the same prototype`;
    }
  }

  #inside(a: object, b: object, path: string): string | undefined {
    if (a instanceof Map && b instanceof Map) {
      return this.compareAll([...a].flat(), [...b].flat(), `${path} entries`);
    }
    if (a instanceof Set && b instanceof Set) {
      return this.compareAll([...a], [...b], `${path} members`);
    }
    if (a instanceof Date && b instanceof Date) {
      return this.compare(a.getTime(), b.getTime(), `${path} time`);
    }
    if (a instanceof RegExp && b instanceof RegExp) {
      return this.compareAll(
        [a.source, a.flags, a.lastIndex],
        [b.source, b.flags, b.lastIndex],
        `${path} pattern`,
      );
    }
    if (isBoxed(a) && isBoxed(b)) {
      return this.compare(a.valueOf(), b.valueOf(), `${path} primitive`);
    }
    if (a instanceof ArrayBuffer && b instanceof ArrayBuffer) {
      return this.compareAll(bufferFacts(a), bufferFacts(b), `${path} bytes`);
    }
    if (ArrayBuffer.isView(a) && ArrayBuffer.isView(b)) {
      return this.compareAll(
        [a.buffer, a.byteOffset, a.byteLength],
        [b.buffer, b.byteOffset, b.byteLength],
        `${path} view`,
      );
    }
    if (a instanceof Error && b instanceof Error) {
      return this.compare(a.stack, b.stack, `${path} stack`);
    }
  }

  #properties(a: Bag, b: Bag, path: string): string | undefined {
    // The elements of a view were compared as bytes.
    if (ArrayBuffer.isView(a)) return undefined;
    const [keysA, keysB] = [a, b].map((bag) =>
      Reflect.ownKeys(bag).map(String).filter((key) => key !== "stack")
    );
    // In an error the order says nothing.
    const order = (keys: string[]) => a instanceof Error ? keys.sort() : keys;
    const keys = order(keysA as string[]);
    const difference = this.compareAll(
      keys,
      order(keysB as string[]),
      `${path} keys`,
    );
    if (difference !== undefined) return difference;
    for (const key of keys) {
      const [propertyA, propertyB] = [a, b].map((bag) =>
        Object.getOwnPropertyDescriptor(bag, key)
      );
      const deeper = this.compare(
        propertyA?.value,
        propertyB?.value,
        `${path}[${JSON.stringify(key)}]`,
      );
      if (deeper !== undefined) return deeper;
      if (propertyA?.enumerable !== propertyB?.enumerable) {
        return `${path}[${JSON.stringify(key)}]: not equally enumerable`;
      }
    }
  }

  compareAll(
    a: readonly unknown[],
    b: readonly unknown[],
    path: string,
  ): string | undefined {
    if (a.length !== b.length) {
      return `${path}: ${a.length} of them, not ${b.length}: ${show(a)}, ${
        show(b)
      }`;
    }
    for (let i = 0; i < a.length; i++) {
      const difference = this.compare(a[i], b[i], `${path}[${i}]`);
      if (difference !== undefined) return difference;
    }
  }
}

function isBoxed(value: object): boolean {
  return value instanceof Number || value instanceof String ||
    value instanceof Boolean || value instanceof BigInt;
}

function bufferFacts(buffer: ArrayBuffer): unknown[] {
  return [
    buffer.resizable,
    buffer.maxByteLength,
    new Uint8Array(buffer).join(),
  ];
}
