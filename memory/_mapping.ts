/**
 * Memory that several processes have mapped: what a system has to supply so that
 * `process_memory.ts` can be made of it. There are three: a memfd on Linux, a
 * named file where there are none, a named section on Windows.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */

/** One mapping, as one process sees it. It is never unmapped. */
export interface Mapping {
  /**
   * What leads others to it, together with the id of a process that has it: a
   * file descriptor of that process, or a number that is part of a name.
   */
  readonly file: number;
  /** Where it is in this process. */
  readonly pointer: Deno.PointerObject;
  /** How long it is. */
  readonly byteLength: number;
  /** Whether {@linkcode Mapping.discard} gives memory back. */
  readonly discards: boolean;
  /** Makes everything below `end` usable. */
  commit(end: number): void;
  /**
   * Gives pages back to the system.
   *
   * @returns Whether they read as zero now.
   */
  discard(offset: number, byteLength: number): boolean;
}

/** From here on a file is a number that is part of a name. */
export const FIRST_NAME: number = 2 ** 32;
/** Below this all whole numbers are exact; the part above is the place. */
const PLACE = 2 ** 48;

/**
 * A name nobody else has.
 *
 * @param place Which of a few places it is in.
 */
export function freshName(place: number): number {
  const [low, high] = crypto.getRandomValues(new Uint32Array(2));
  // One at least in the upper half, so that it is no descriptor.
  const upper = (high! % (PLACE / FIRST_NAME - 1)) + 1;
  return place * PLACE + upper * FIRST_NAME + low!;
}

/** Which place a name is in. */
export function placeOf(file: number): number {
  return Math.floor(file / PLACE);
}

/** What the names of all of them begin with. */
export const NAME_PREFIX = "multiprocessing-";

/** The name as text. */
export function nameOf(file: number): string {
  return NAME_PREFIX + (file % PLACE).toString(16);
}
