/**
 * What can be told elsewhere of what was thrown here, and what it is given there:
 * for whoever carries errors to another process or thread.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { RemoteError } from "../errors.ts";

/** Characters of a value shown in an error. */
const MOST_SHOWN = 300;

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
export function described(
  thrown: unknown,
): [name: string, message: string, stack: string] {
  if (!(thrown instanceof Error)) return ["", shown(thrown), ""];
  const read = (key: "name" | "message" | "stack") => {
    try {
      return String(thrown[key] ?? "");
    } catch {
      return "";
    }
  };
  const name = read("name");
  const message = read("message");
  return [name, message, read("stack") || `${name}: ${message}`];
}

/**
 * A copy of an error with those of its own properties that can travel.
 *
 * @param error The error.
 * @param send Throws if a value cannot.
 */
export function withoutUnsendable(
  error: Error,
  send: (value: unknown, name: string) => void,
): Error {
  const copy = new Error();
  Object.setPrototypeOf(copy, Object.getPrototypeOf(error));
  for (const key of Object.getOwnPropertyNames(error)) {
    const property = Object.getOwnPropertyDescriptor(error, key)!;
    if (!("value" in property)) continue;
    try {
      if (key !== "stack") send(property.value, key);
      Object.defineProperty(copy, key, property);
    } catch {
      // This is the one, or one of those.
    }
  }
  return copy;
}

/**
 * Has an error that was made again here tell where it comes from. The cause it had
 * is kept as the cause of that.
 *
 * @param error The error.
 * @param text What has failed, and where.
 * @param workerName Name of the process it was thrown in.
 * @param stack Its stack there.
 */
export function comesFrom(
  error: Error,
  text: string,
  workerName: string,
  stack: string,
): void {
  const options = error.cause === undefined ? {} : { cause: error.cause };
  Reflect.defineProperty(error, "cause", {
    value: new RemoteError(text, workerName, stack, options),
    writable: true,
    enumerable: false,
    configurable: true,
  });
}
