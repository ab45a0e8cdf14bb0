/**
 * What a start method has to supply for memory that is found by its name: see
 * `_named_files.ts` for processes and `_named_blocks.ts` for threads.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */

import { EncodingError } from "../errors.ts";
import type { MemoryKind } from "../memory/mod.ts";
import type { Target } from "./block.ts";
import type { Piece } from "./_views.ts";

/** A piece of memory that has, or had, a name. */
export interface Segment {
  /** Its bytes, for users. */
  readonly bytes: Uint8Array;
  /** The same, for use here while the segment is held. */
  readonly piece: Piece;
  /** Says that its user is done with it; views of it may live on. */
  release(): void;
}

/**
 * Longest name to create, in bytes: a marker of `_named_files.ts`, with all its
 * numbers, takes 255, and a name of `_named_blocks.ts` has to fit into a block.
 */
export const LONGEST_NAME = 190;

/** Where names are looked up. */
export interface NamedMemory {
  /**
   * Creates a segment, which reads as zero.
   *
   * @throws {Deno.errors.AlreadyExists} If the name is taken.
   * @throws {RangeError} If there is not that much memory.
   */
  create(name: string, size: number): Segment;
  /**
   * Opens a segment.
   *
   * @throws {Deno.errors.NotFound} If there is none of that name.
   */
  attach(name: string): Segment;
  /**
   * Takes the name away. The memory goes when nobody has it open any more.
   *
   * @throws {Deno.errors.NotFound} If there is none of that name.
   */
  unlink(name: string): void;
}

/** The error for a name that is taken. */
export function taken(name: string): Deno.errors.AlreadyExists {
  return new Deno.errors.AlreadyExists(
    `Cannot create shared memory "${name}" as the name is taken`,
  );
}

/** The error for a name that leads nowhere. */
export function missing(action: string, name: string): Deno.errors.NotFound {
  return new Deno.errors.NotFound(
    `Cannot ${action} shared memory "${name}" as there is none of that name`,
  );
}

/**
 * Checks that a receiver can look the name up.
 *
 * @throws {EncodingError} If it looks elsewhere.
 */
export function checkTarget(
  kind: MemoryKind,
  what: string,
  target: unknown,
): void {
  if (kind === "spawn" || (target as Target).kind === "worker") return;
  throw new EncodingError(
    `Cannot send a ${what} of the "worker" context to a process of the "spawn" context as threads' memory cannot be shared with processes: create it with getContext("spawn")`,
  );
}
