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
import type { Peer, Wire } from "./_wire.ts";

/** What is sent for an error. */
type Thrown = readonly [
  name: string,
  message: string,
  stack: string,
  error?: unknown,
];

/** Characters of a value shown in an error. */
const MOST_SHOWN = 300;

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
    () => [...text, withoutUnsendable(thrown, wire, peer)],
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
  const options = error.cause === undefined ? {} : { cause: error.cause };
  Reflect.defineProperty(error, "cause", {
    value: new RemoteError(
      `${serverName}: ${what}`,
      serverName,
      stack,
      options,
    ),
    writable: true,
    enumerable: false,
    configurable: true,
  });
  return error;
}

/** A value in one short line. */
export function shown(value: unknown): string {
  let text: string;
  try {
    text = Deno.inspect(value, {
      depth: 1,
      iterableLimit: 5,
      strAbbreviateSize: 100,
      compact: true,
      breakLength: Infinity,
    });
  } catch {
    text = `a value of type ${typeof value}`; // it refuses to be shown
  }
  return text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text;
}

/** Name, message and stack of anything; its getters may throw. */
function described(thrown: unknown): [string, string, string] {
  if (!(thrown instanceof Error)) return ["", shown(thrown), ""];
  const read = (key: "name" | "message" | "stack") => {
    try {
      return String(thrown[key] ?? "");
    } catch {
      return "";
    }
  };
  return [read("name"), read("message"), read("stack")];
}

/** A copy of an error with those of its own properties that can travel. */
function withoutUnsendable(thrown: unknown, wire: Wire, peer: Peer): Error {
  if (!(thrown instanceof Error)) throw thrown;
  const error = new Error();
  Object.setPrototypeOf(error, Object.getPrototypeOf(thrown));
  for (const key of Object.getOwnPropertyNames(thrown)) {
    const property = Object.getOwnPropertyDescriptor(thrown, key)!;
    if (!("value" in property)) continue;
    try {
      if (key !== "stack") wire.body(property.value, key, peer);
      Object.defineProperty(error, key, property);
    } catch {
      // This is the one, or one of those.
    }
  }
  return error;
}
