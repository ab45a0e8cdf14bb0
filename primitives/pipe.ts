/**
 * {@linkcode Pipe}: two connections, each of which receives what the other sends.
 *
 * The memory behind a pipe, its words, and why no wake-up is lost are described
 * in `_pipe_end.ts`.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { checkOptionsObject } from "../memory/mod.ts";
import type { MemoryKind } from "../memory/mod.ts";
import { bindTo } from "./block.ts";
import { checkedMaxBytes } from "./_parcel.ts";
import { PipeEnd } from "./_pipe_end.ts";
import { connectionOver } from "./connection.ts";
import type { Connection } from "./connection.ts";

/** Settings of a {@linkcode Pipe}. */
export interface PipeOptions {
  /**
   * Whether both ends send and receive. Otherwise the first only receives and
   * the second only sends.
   *
   * @default {true}
   */
  duplex?: boolean | undefined;
  /**
   * Most bytes on the way in one direction at a time. A send that would go
   * beyond waits; a message that is larger than this alone is refused.
   *
   * @default {4294967296} 4 GiB
   */
  maxBytes?: number | undefined;
}

/**
 * Makes a pipe.
 *
 * - **Sharing:** give one end to a child as an argument and close it here once
 *   the child is started: only then does the other end see that the child has
 *   closed its copy or has ended.
 * - **Back-pressure:** memory follows what is on the way, so both ends can send
 *   large messages at once and receive afterwards.
 *
 * @example A question and an answer
 * ```ts
 * import { Pipe } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * const [a, b] = Pipe<number>();
 * await a.send(21);
 * await b.send(await b.recv() * 2);
 * assertEquals(await a.recv(), 42);
 * ```
 *
 * @param options Which kind of pipe.
 * @returns The two ends.
 * @throws {TypeError} If the options are no object, or `maxBytes` is not a number.
 * @throws {RangeError} If `maxBytes` is not above 0.
 */
export function Pipe<T = unknown>(
  options: PipeOptions = {},
): [Connection<T>, Connection<T>] {
  return open<T>(PipeEnd, options);
}

/**
 * {@linkcode Pipe} for one start method.
 *
 * @param kind The start method.
 */
export function pipeFor(kind: MemoryKind): typeof Pipe {
  const cls = bindTo(PipeEnd, kind);
  return <T>(options: PipeOptions = {}) => open<T>(cls, options);
}

function open<T>(
  cls: typeof PipeEnd,
  options: PipeOptions,
): [Connection<T>, Connection<T>] {
  checkOptionsObject(options, "make a pipe", "{ duplex: false }");
  const { duplex = true, maxBytes } = options;
  const limits = { maxBytes: checkedMaxBytes("a pipe", maxBytes) };
  const [first, second] = PipeEnd.pair(cls, duplex, limits);
  return [connectionOver<T>(first), connectionOver<T>(second)];
}
