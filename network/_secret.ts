/**
 * The key of a listener or a client, and the only thing that is done with it:
 * keyed digests of challenges.
 *
 * It lies in private fields, so it is in nothing that is printed, logged, cloned
 * or turned into JSON; no error says anything of it but its type.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { hmacMd5 } from "./_md5.ts";

/**
 * A key for authentication: bytes, or an object that gives them when asked (an
 * `AuthKey`, such as `currentProcess().authkey`).
 */
export type AuthKeyLike = Uint8Array | {
  /** Gives the bytes of the key. */
  reveal(): Uint8Array;
};

/**
 * The keyed digests by the names CPython gives them. It has two more, `sha3_256`
 * and `sha3_384`, which WebCrypto has not.
 *
 * - **sha256:** what CPython 3.12 and later use.
 * - **sha384:** CPython 3.12 and later understand it.
 * - **md5:** all that CPython up to 3.11 has. Broken for other uses, not for this
 *   one, but do not choose it without need.
 */
export type Digest = "sha256" | "sha384" | "md5";

/** What WebCrypto calls them; MD5 it does not have. */
const WEB_CRYPTO_NAMES: Record<Digest, string | undefined> = {
  sha256: "SHA-256",
  sha384: "SHA-384",
  md5: undefined,
};

/** A key that can be used and not be read. */
export class Secret {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  /** Imported when first used. */
  readonly #imported = new Map<Digest, Promise<CryptoKey>>();

  /**
   * Takes a key.
   *
   * @param authkey The key; copied.
   * @throws {TypeError} If it is not bytes.
   * @throws {RangeError} If it is empty.
   */
  constructor(authkey: AuthKeyLike) {
    const bytes = bytesOf(authkey);
    if (bytes.byteLength === 0) {
      throw new RangeError(
        "Cannot authenticate with an empty authkey as everybody has that",
      );
    }
    this.#bytes = new Uint8Array(bytes);
  }

  /**
   * The keyed digest (HMAC) of a message.
   *
   * @param digest Which.
   * @param message Of what.
   */
  async mac(digest: Digest, message: Uint8Array): Promise<Uint8Array> {
    if (WEB_CRYPTO_NAMES[digest] === undefined) {
      return hmacMd5(this.#bytes, message);
    }
    const key = await this.#import(digest);
    const copy = new Uint8Array(message);
    return new Uint8Array(await crypto.subtle.sign("HMAC", key, copy));
  }

  #import(digest: Digest): Promise<CryptoKey> {
    const known = this.#imported.get(digest);
    if (known) return known;
    const key = crypto.subtle.importKey(
      "raw",
      this.#bytes,
      { name: "HMAC", hash: WEB_CRYPTO_NAMES[digest]! },
      false,
      ["sign"],
    );
    this.#imported.set(digest, key);
    return key;
  }
}

/**
 * Checks the name of a digest.
 *
 * @param digest What was given.
 * @throws {RangeError} If there is no such digest here.
 */
export function checkedDigest(digest: Digest | undefined): Digest {
  if (digest === undefined) return "sha256";
  if (Object.hasOwn(WEB_CRYPTO_NAMES, digest)) return digest;
  throw new RangeError(
    `Cannot authenticate as 'digest' must be "sha256", "sha384" or "md5": it is ${
      Deno.inspect(digest)
    }`,
  );
}

/**
 * Whether two digests are the same, in a time that does not tell where they
 * differ.
 */
export function isSameDigest(one: Uint8Array, other: Uint8Array): boolean {
  if (one.byteLength !== other.byteLength) return false;
  let difference = 0;
  for (let i = 0; i < one.byteLength; i++) difference |= one[i]! ^ other[i]!;
  return difference === 0;
}

function bytesOf(authkey: unknown): Uint8Array {
  if (authkey instanceof Uint8Array) return authkey;
  if (typeof authkey === "object" && authkey !== null && "reveal" in authkey) {
    const { reveal } = authkey;
    const bytes = typeof reveal === "function"
      ? reveal.call(authkey)
      : undefined;
    if (bytes instanceof Uint8Array) return bytes;
  }
  // Only the type: a password given as a string must not end up in a log.
  throw new TypeError(
    `Cannot authenticate as authkey should be a byte string: Authkey must be bytes, not ${
      authkey === null ? "null" : typeof authkey
    }`,
  );
}
