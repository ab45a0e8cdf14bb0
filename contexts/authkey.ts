/**
 * {@linkcode AuthKey}: a secret that does not get out by accident.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { EncodingError } from "../errors.ts";
import { travelsAs } from "../primitives/block.ts";
import { showAsText } from "../primitives/inspect.ts";

/**
 * The key with which the connections of a program authenticate. Children inherit it
 * through shared memory; it cannot be sent, printed or turned into JSON.
 *
 * @example
 * ```ts
 * import { currentProcess } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * const key = currentProcess().authkey;
 * assertEquals(key.length, 32);
 * assertEquals(String(key), "<AuthKey: 32 bytes>");
 * ```
 */
export class AuthKey {
  static {
    showAsText(this);
    travelsAs(this, () => {
      throw new EncodingError(REFUSAL);
    });
  }

  readonly #bytes: Uint8Array;

  /**
   * Wraps a key.
   *
   * @param bytes The key; copied.
   * @throws {TypeError} If it is not bytes.
   */
  constructor(bytes: Uint8Array) {
    if (!(bytes instanceof Uint8Array)) {
      throw new TypeError(
        `Authkey must be bytes, not ${
          bytes === null ? "null" : typeof bytes
        }: give a Uint8Array`,
      );
    }
    this.#bytes = new Uint8Array(bytes);
  }

  /** Its length in bytes. */
  get length(): number {
    return this.#bytes.byteLength;
  }

  /** A copy of the key itself. */
  reveal(): Uint8Array {
    return this.#bytes.slice();
  }

  /**
   * Whether another key is the same.
   *
   * @param other The other.
   */
  equals(other: AuthKey): boolean {
    let difference = this.length ^ other.length;
    for (let i = 0; i < this.length; i++) {
      difference |= this.#bytes[i]! ^ (other.#bytes[i] ?? 0);
    }
    return difference === 0;
  }

  /** Says what it is without saying what is in it. */
  toString(): string {
    return `<AuthKey: ${this.length} bytes>`;
  }

  /**
   * Refuses.
   *
   * @throws {EncodingError} Always.
   */
  toJSON(): never {
    throw new EncodingError(REFUSAL);
  }
}

const REFUSAL =
  "Cannot send an AuthKey as that is disallowed for security reasons: children inherit it";
