/**
 * Errors that cross from the server to a client. They keep what they are (class,
 * name, message, code, own fields), and their cause becomes a `RemoteError` with the
 * stack and the name of the server's process. Their text travels beside them, for
 * those that cannot be sent whole or made again.
 *
 * Runs in the client (rebuilding) and in the server (packing).
 *
 * @module
 */
import { RemoteError } from "../errors.ts";
import {
  comesFrom,
  described,
  withoutUnsendable,
} from "../primitives/failures.ts";
import type { Peer, Wire } from "./_wire.ts";

/** What is sent for an error. */
type Thrown = readonly [
  name: string,
  message: string,
  stack: string,
  error?: unknown,
];

/**
 * Packs what a method has thrown, in any case.
 *
 * @param thrown Anything.
 * @param wire How it is written.
 * @param peer For whom.
 * @returns The body of a message.
 */
export function packed(thrown: unknown, wire: Wire, peer: Peer): unknown {
  const text = described(thrown);
  const attempts = [
    () => [...text, thrown],
    // Something on it cannot travel: the rest of it can.
    () => [...text, withoutSome(thrown, wire, peer)],
    () => text,
  ];
  for (const attempt of attempts) {
    try {
      return wire.body(attempt(), "error", peer);
    } catch {
      // The next one says less.
    }
  }
  return wire.body(
    ["Error", "An error that refuses to be shown", ""],
    "",
    peer,
  );
}

/**
 * Makes of it again what was thrown.
 *
 * @param body What came.
 * @param wire How it is written.
 * @param peer From whom.
 * @param serverName Where it was thrown.
 */
export function unpacked(
  body: unknown,
  wire: Wire,
  peer: Peer,
  serverName: string,
): unknown {
  const { value } = wire.readBody(body, peer);
  const [name, message, stack, error] = value as Thrown;
  const what = name ? `${name}: ${message}` : message;
  if (!(error instanceof Error)) {
    if ((value as Thrown).length === 4) return error;
    const text = `${what} (in ${serverName}; it cannot be rebuilt here)`;
    return new RemoteError(text, serverName, stack);
  }
  // What the server itself has to say is a RemoteError already.
  if (error instanceof RemoteError) return error;
  comesFrom(error, `${serverName}: ${what}`, serverName, stack);
  return error;
}

function withoutSome(thrown: unknown, wire: Wire, peer: Peer): Error {
  if (!(thrown instanceof Error)) throw thrown;
  return withoutUnsendable(
    thrown,
    (value, name) => wire.body(value, name, peer),
  );
}
