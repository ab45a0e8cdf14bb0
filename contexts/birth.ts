/**
 * What a child needs to know to start. It travels in shared memory, in a block of
 * the arena parent and child share, never in the command line or the
 * environment, where others could read it.
 *
 * ```
 *   | bytes of the facts | bytes of the arguments | facts ... | arguments ... |
 * ```
 *
 * The two are separate messages because the facts say which modules to load, and
 * only then can the arguments be decoded: their classes come from those modules.
 *
 * The record is freed by whoever sees to the child's end. Only a large one is freed
 * by the child once it has read it: a child that is killed while it does so takes
 * the block with it, and most are killed while they start.
 *
 * Written by `_birth_writer.ts`, which a child that starts nobody need not load.
 *
 * Runs in the child, and in whoever sees to its end.
 *
 * @module
 */
import { S_BIRTH } from "../memory/mod.ts";
import type { Arena, MemoryKind } from "../memory/mod.ts";
import { UNIT } from "../memory/layout.ts";
import { arrived, fromMessage } from "../primitives/wire.ts";
import type { FunctionReference } from "./functions.ts";

/** What is known about whoever started a child. */
export interface ParentFacts {
  /** Its name. */
  readonly name: string;
  /** Its process id. */
  readonly pid: number;
  /** Its ident. */
  readonly ident: number;
  /** Its token in the arena. */
  readonly token: number;
}

/** The facts. */
export interface Birth {
  /** Name of the child. */
  readonly name: string;
  /** Which child of which child it is, for names. */
  readonly identity: readonly number[];
  /** Whether it ends with its parent. */
  readonly daemon: boolean;
  /** Whether Ctrl-C is the parent's business alone. */
  readonly ignoreInterrupt: boolean;
  /** The key its connections authenticate with. */
  readonly authkey: Uint8Array;
  /** What all participants of this program have. */
  readonly family: Uint8Array;
  /** The start method it was started with. */
  readonly method: MemoryKind;
  /** Who started it. */
  readonly parent: ParentFacts;
  /** The module the program started with. */
  readonly mainModule: string | undefined;
  /** Where the program was started; only for a thread, which has its flags. */
  readonly startFolder: string | undefined;
  /** Modules to load before the target's. */
  readonly preload: readonly string[];
  /** The function to call, or the class to run, or neither. */
  readonly target: FunctionReference | null;
  /** Whether the target is a class of Process; its own fields are the arguments. */
  readonly isClass: boolean;
  /** The logger's level and whether it writes to stderr, if it is on. */
  readonly log: { level: number; toStderr: boolean } | null;
  /** Limit of the heap in MiB, to recognise when it has been exceeded. */
  readonly memoryLimitMb: number | null;
}

/** Words in front of the two messages: their lengths. */
export const HEAD_BYTES = 8;
/** A record of this size is not kept for the life of the child. */
const LARGE_BYTES = 64 * 1024;

/** The record as its reader gets it. */
export interface Read {
  /** The facts. */
  readonly birth: Birth;
  /**
   * Decodes the arguments, after which the record may be freed.
   *
   * @param buffers Shared buffers that they refer to.
   */
  readArgs(buffers: readonly SharedArrayBuffer[]): Promise<unknown>;
}

/**
 * Reads this child's record.
 *
 * @param arena Where it was born.
 */
export function readBirth(arena: Arena): Read {
  const offset = birthOffset(arena, arena.me);
  const [factsLength, argsLength] = arena.words(
    offset,
    HEAD_BYTES / 4,
  ) as unknown as [number, number];
  const facts = arena.bytes(offset + HEAD_BYTES, factsLength);
  const { value } = fromMessage(facts);
  return {
    birth: value as Birth,
    readArgs: async (buffers) => {
      const at = offset + HEAD_BYTES + factsLength;
      const args = await arrived(arena.bytes(at, argsLength), buffers);
      if (argsLength >= LARGE_BYTES) dropBirth(arena, arena.me);
      return args;
    },
  };
}

/**
 * Frees the record of a child, if that has not been done.
 *
 * @param arena Where it was born.
 * @param token The child's token.
 */
export function dropBirth(arena: Arena, token: number): void {
  const offset = birthOffset(arena, token);
  if (offset === 0) return;
  const words = arena.words(offset, HEAD_BYTES / 4);
  const size = HEAD_BYTES + words[0]! + words[1]!;
  arena.participants.store(token, S_BIRTH, 0);
  arena.heap.free(offset, size);
}

function birthOffset(arena: Arena, token: number): number {
  return (arena.participants.load(token, S_BIRTH) >>> 0) * UNIT;
}
