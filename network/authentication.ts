/**
 * The challenge by which two ends of a connection prove to each other that they
 * hold the same key, as CPython does it. README.md has the table of who sends
 * what; this file has the two halves, one for each role in one challenge.
 *
 * **Which digest.** CPython from 3.12 on writes the name of the digest in braces
 * before the challenge, and the answer names its own. Up to 3.11 there is no name
 * and no choice: 20 random bytes, 16 bytes of MD5. Both are told apart by these
 * lengths. MD5 is spoken here only if the caller has said so.
 *
 * **No reflection.** Whoever can make us answer a challenge that we or a process
 * like us have set can hand the answer back as its own. So a client answers no
 * challenge that was set by a client, and a listener none of a listener: of the
 * random part of what this library sets, the first bytes say who it comes from.
 * The digest covers them; to CPython they are random bytes like the others. MD5
 * has no room for that, so there each process knows at least what it has set.
 *
 * **What this is not.** The connection is not encrypted, and the protocol cannot
 * notice somebody in the middle who passes everything on.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { AuthenticationError } from "../errors.ts";
import { MD5_BYTES } from "./_md5.ts";
import { checkedDigest, isSameDigest, Secret } from "./_secret.ts";
import type { AuthKeyLike, Digest } from "./_secret.ts";

export type { AuthKeyLike, Digest };

/** The largest message of a handshake; CPython's limit. */
export const HANDSHAKE_BYTES_MAX = 256;

const CHALLENGE = ascii("#CHALLENGE#");
const WELCOME = ascii("#WELCOME#");
const FAILURE = ascii("#FAILURE#");

/** Random bytes of CPython up to 3.11. */
const LEGACY_BYTES = 20;
/** Random bytes of CPython from 3.12 on, and ours. */
const NONCE_BYTES = 40;
/** Where the name of a digest ends at the latest: `{sha3_384}`. */
const LABEL_BYTES_MAX = 10;

/** Which end of the connection. */
export type Role = "listener" | "client";

/** The first bytes of what this library sets, by the role of who sets it. */
const ORIGINS: Record<Role, Uint8Array> = {
  listener: ascii("deno-mpL"),
  client: ascii("deno-mpC"),
};

/** What this process waits to have answered, with the role of who has set it. */
const outstanding = new Set<string>();

/** The part of a connection that an authentication needs. */
export interface ChallengeConnection {
  /** Sends bytes as one message. */
  sendBytes(bytes: Uint8Array): unknown;
  /** Receives a message of at most so many bytes. */
  recvBytes(maxLength: number): Uint8Array | Promise<Uint8Array>;
}

/** Settings of {@linkcode deliverChallenge} and {@linkcode answerChallenge}. */
export interface ChallengeOptions {
  /**
   * Which keyed digest to use. `"md5"` also accepts that of others; without it
   * MD5 is refused.
   *
   * @default {"sha256"}
   */
  digest?: Digest | undefined;
}

/** How one end authenticates. */
export interface Credentials {
  /** The key. */
  readonly secret: Secret;
  /** The digest it asks for. */
  readonly digest: Digest;
  /** Which end it is, if that is known. */
  readonly role?: Role;
}

/**
 * Has the other end prove that it holds the key.
 *
 * A {@linkcode Listener} does this first and {@linkcode answerChallenge} second, a
 * {@linkcode Client} the other way round; they do so themselves when they have an
 * `authkey`. This is for connections of another kind.
 *
 * @example By hand
 * ```ts
 * import {
 *   answerChallenge,
 *   Client,
 *   deliverChallenge,
 *   Listener,
 * } from "@deno-mp/multiprocessing";
 *
 * const key = crypto.getRandomValues(new Uint8Array(32));
 * using listener = new Listener();
 * using there = await Client(listener.address);
 * using here = await listener.accept();
 * await Promise.all([
 *   deliverChallenge(here, key),
 *   answerChallenge(there, key),
 * ]);
 * ```
 *
 * @param connection The connection.
 * @param authkey The key.
 * @param options Which digest.
 * @throws {AuthenticationError} If the other end does not prove it; it has been
 * told so.
 * @throws {TypeError} If the key is not bytes.
 * @throws {RangeError} If the key is empty, or there is no such digest.
 */
export async function deliverChallenge(
  connection: ChallengeConnection,
  authkey: AuthKeyLike,
  options: ChallengeOptions = {},
): Promise<void> {
  await deliver(connection, credentials(authkey, options));
}

/**
 * Proves to the other end that this one holds the key.
 *
 * @example Both ends
 * ```ts
 * import { answerChallenge, deliverChallenge, Pipe } from "@deno-mp/multiprocessing";
 *
 * const authkey = new TextEncoder().encode("the same key");
 * const [here, there] = Pipe();
 * await Promise.all([
 *   deliverChallenge(here, authkey),
 *   answerChallenge(there, authkey),
 * ]);
 * ```
 *
 * @param connection The connection.
 * @param authkey The key.
 * @param options Whether MD5 may be used.
 * @throws {AuthenticationError} If the other end does not accept the proof, asks
 * for MD5 unbidden, or sends something else than a challenge.
 * @throws {TypeError} If the key is not bytes.
 * @throws {RangeError} If the key is empty, or there is no such digest.
 */
export async function answerChallenge(
  connection: ChallengeConnection,
  authkey: AuthKeyLike,
  options: ChallengeOptions = {},
): Promise<void> {
  await answer(connection, credentials(authkey, options));
}

/** Both halves, in the order of a role. */
export async function authenticate(
  connection: ChallengeConnection,
  mine: Credentials,
): Promise<void> {
  if (mine.role === "listener") {
    await deliver(connection, mine);
    await answer(connection, mine);
  } else {
    await answer(connection, mine);
    await deliver(connection, mine);
  }
}

function credentials(
  authkey: AuthKeyLike,
  { digest }: ChallengeOptions,
): Credentials {
  return { secret: new Secret(authkey), digest: checkedDigest(digest) };
}

async function deliver(
  connection: ChallengeConnection,
  mine: Credentials,
): Promise<void> {
  const challenge = newChallenge(mine);
  const entry = entryOf(mine, challenge);
  outstanding.add(entry);
  try {
    await connection.sendBytes(joined(CHALLENGE, challenge));
    const response = await connection.recvBytes(HANDSHAKE_BYTES_MAX);
    await verify(mine, challenge, response);
  } catch (error) {
    if (error instanceof AuthenticationError) await tellFailure(connection);
    throw error;
  } finally {
    outstanding.delete(entry);
  }
  await connection.sendBytes(WELCOME);
}

async function answer(
  connection: ChallengeConnection,
  mine: Credentials,
): Promise<void> {
  const message = await connection.recvBytes(HANDSHAKE_BYTES_MAX);
  if (!startsWith(message, CHALLENGE)) {
    throw new AuthenticationError(
      "Cannot authenticate as the other end sent something else than a challenge",
    );
  }
  const challenge = message.subarray(CHALLENGE.byteLength);
  const digest = askedDigest(mine, challenge);
  const mac = await mine.secret.mac(digest ?? "md5", challenge);
  await connection.sendBytes(
    digest === undefined ? mac : joined(ascii(`{${digest}}`), mac),
  );
  const verdict = await connection.recvBytes(HANDSHAKE_BYTES_MAX);
  if (idOf(verdict) === idOf(WELCOME)) return;
  throw new AuthenticationError(
    "Cannot authenticate as the digest sent was rejected: the other end has another key",
  );
}

function newChallenge({ digest, role }: Credentials): Uint8Array {
  if (digest === "md5") {
    return crypto.getRandomValues(new Uint8Array(LEGACY_BYTES));
  }
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  if (role !== undefined) nonce.set(ORIGINS[role]);
  return joined(ascii(`{${digest}}`), nonce);
}

async function verify(
  mine: Credentials,
  challenge: Uint8Array,
  response: Uint8Array,
): Promise<void> {
  const { label, payload } = taken(response);
  if (label === "md5" && mine.digest !== "md5") {
    throw new AuthenticationError(
      'Cannot authenticate as the digest received was wrong: it has the length of MD5, as of CPython up to 3.11, which has to be allowed with digest: "md5"',
    );
  }
  if (label !== undefined) {
    const expected = await mine.secret.mac(label, challenge);
    if (isSameDigest(expected, payload)) return;
  }
  throw new AuthenticationError(
    "Cannot authenticate as the digest received was wrong: the other end has another key",
  );
}

/** The digest to answer with; `undefined` for MD5 without a name. */
function askedDigest(
  mine: Credentials,
  challenge: Uint8Array,
): Digest | undefined {
  const { digest, role } = mine;
  if (challenge.byteLength < LEGACY_BYTES) {
    throw new AuthenticationError(
      `Cannot authenticate as the challenge is too short: it has ${challenge.byteLength} bytes`,
    );
  }
  const { label, payload } = taken(challenge);
  if (label === undefined) {
    throw new AuthenticationError(
      "Cannot authenticate as the other end asks for a digest that is not known here",
    );
  }
  if (label === "md5" && digest !== "md5") {
    throw new AuthenticationError(
      'Cannot authenticate as the other end asks for MD5, as CPython up to 3.11 does: allow it with digest: "md5"',
    );
  }
  if (
    role !== undefined &&
    (startsWith(payload, ORIGINS[role]) ||
      outstanding.has(entryOf(mine, challenge)))
  ) {
    throw new AuthenticationError(
      "Cannot authenticate as the challenge was reflected: it comes from this side",
    );
  }
  return challenge.byteLength === LEGACY_BYTES ? undefined : label;
}

/** Takes the name of the digest off a challenge or a response. */
function taken(
  message: Uint8Array,
): { label: Digest | undefined; payload: Uint8Array } {
  const { byteLength } = message;
  if (byteLength === LEGACY_BYTES || byteLength === MD5_BYTES) {
    return { label: "md5", payload: message };
  }
  const end = message.subarray(0, LABEL_BYTES_MAX).indexOf(0x7d); // "}"
  const text = String.fromCharCode(...message.subarray(0, end + 1));
  const label = (["sha256", "sha384", "md5"] as const)
    .find((digest) => text === `{${digest}}`);
  return { label, payload: message.subarray(end + 1) };
}

async function tellFailure(connection: ChallengeConnection): Promise<void> {
  try {
    await connection.sendBytes(FAILURE);
  } catch {
    // Gone already: what matters is that it is not let in.
  }
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  return prefix.every((byte, i) => bytes[i] === byte);
}

function entryOf({ role }: Credentials, challenge: Uint8Array): string {
  return `${role} ${idOf(challenge)}`;
}

/** Bytes as text, to be compared and looked up; they are no secret. */
function idOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

function joined(head: Uint8Array, tail: Uint8Array): Uint8Array {
  const whole = new Uint8Array(head.byteLength + tail.byteLength);
  whole.set(head);
  whole.set(tail, head.byteLength);
  return whole;
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
