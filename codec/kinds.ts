/**
 * What objects really are, for whoever writes or compares them in another way than
 * `encode()` does, and is to see them as it does.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import {
  isModuleNamespaceObject,
  isProxy,
  kindOf,
  plainKindOf,
} from "./_kinds.ts";
import type { Kind } from "./_kinds.ts";

export type { Kind } from "./_kinds.ts";

/**
 * Says what an object is that is no array.
 *
 * @param value The object.
 */
export function kindOfObject(value: object): Kind {
  if (isProxy(value)) return { refused: "Proxy" };
  const prototype = Object.getPrototypeOf(value);
  if (prototype === null && isModuleNamespaceObject(value)) {
    return { refused: "module" };
  }
  const kind = prototype === null || prototype === Object.prototype
    ? "plain"
    : kindOf(value, prototype);
  return kind === "plain" ? plainKindOf(value, Object.keys(value)) : kind;
}

/** Whether an array has all its elements, and no other properties. */
export function isWhole(array: readonly unknown[]): boolean {
  const keys = Object.keys(array); // indices first, in their order
  return keys.length === array.length &&
    (keys.length === 0 || keys.at(-1) === String(array.length - 1));
}
