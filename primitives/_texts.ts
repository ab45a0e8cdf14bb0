/**
 * Values as parts of texts.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */

/** A value for an error: recognizable, and not longer than a line. */
export function show(value: unknown): string {
  return Deno.inspect(value, {
    breakLength: Infinity,
    depth: 1,
    iterableLimit: 3,
    strAbbreviateSize: 40,
  });
}

/** A value as part of the text that describes an object. */
export function textOf(value: unknown): string {
  return typeof value === "string" ? `'${value}'` : String(value);
}
