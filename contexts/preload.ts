/**
 * Modules that each child loads before its target's.
 *
 * Runs in the parent.
 *
 * @module
 */

let modules: readonly string[] = [];
/** Rooms of this package that children need to know what they are sent. */
const rooms = new Set<string>();

/**
 * Has every child load modules before its target, as a hint: one that cannot be
 * loaded is passed over.
 *
 * @example What takes long to load
 * ```ts
 * import { setPreload } from "@deno-mp/multiprocessing";
 *
 * setPreload([import.meta.resolve("./large_tables.ts")]);
 * setPreload([]); // nothing, after all
 * ```
 *
 * @param list Their URLs.
 * @throws {TypeError} If it is not a list of strings or URLs.
 */
export function setPreload(list: (string | URL)[]): void {
  if (
    !Array.isArray(list) ||
    !list.every((item) => typeof item === "string" || item instanceof URL)
  ) {
    throw new TypeError("module_names must be a list of strings");
  }
  modules = list.map(String);
}

/**
 * Has every child that is started from now on load a room of this package.
 *
 * @param url Its module.
 */
export function preloadRoom(url: string): void {
  rooms.add(url);
}

/** The modules, those of this package first. */
export function preloaded(): readonly string[] {
  return [...rooms, ...modules];
}
