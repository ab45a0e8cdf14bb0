/**
 * How the start of a server went, told once by the child to whoever started it.
 *
 * Not a pipe: a child takes its references to one with it when it ends, so each
 * manager would cost a little memory for ever. This block is freed by the parent
 * when the child has ended, and cannot write any more: see `contexts/graves.ts`.
 *
 * **Why no wake-up is lost.** The child puts its answer, then wakes; the parent
 * looks after it can be seen waiting. The end of the child wakes everybody.
 *
 * Runs in the parent (hearing) and in the server (telling).
 *
 * @module
 */
import { whenStill } from "../contexts/graves.ts";
import type { Process } from "../contexts/process.ts";
import { arenaFor, keyOf, NOT_YET } from "../memory/mod.ts";
import { Ring, RING_BYTES } from "../memory/ring.ts";
import type { Arena, MemoryKind } from "../memory/mod.ts";
import type { Address } from "../network/mod.ts";
import { toMessage } from "../primitives/to_wire.ts";
import { arrived } from "../primitives/wire.ts";

/** What a server answers. */
export type Answer =
  | readonly ["ready", Address]
  | readonly ["failed", unknown, stack: string];

/** See the module. */
export class Startup {
  /** Where it lies. */
  readonly offset: number;
  readonly #arena: Arena;
  readonly #ring: Ring;

  /**
   * Makes a place for an answer; the child opens the one there is.
   *
   * @param kind The start method of the server.
   * @param offset Where it is, in the child.
   */
  constructor(kind: MemoryKind, offset?: number) {
    this.#arena = arenaFor(kind);
    this.offset = offset ?? this.#arena.heap.allocate(RING_BYTES);
    this.#ring = new Ring(this.#arena, this.offset);
  }

  /**
   * Answers, in the child.
   *
   * @param answer What.
   * @throws {EncodingError} If it cannot be sent.
   */
  tell(answer: Answer): void {
    const { kind } = this.#arena;
    this.#ring.tryPut(toMessage(answer, { kind }, "answer"));
    this.#arena.waiting.wake(keyOf(this.offset));
  }

  /**
   * Waits for the answer, in the parent.
   *
   * @param process The child.
   * @returns The answer; `null` if the child has ended without one.
   */
  async hear(process: Process): Promise<Answer | null> {
    const answer = await this.#arena.waiting.wait([keyOf(this.offset)], () => {
      // The end first: what it has put before is there, then.
      const hasEnded = process.exitCode !== null;
      const bytes = this.#ring.tryTake((message) => message.slice());
      if (bytes) return bytes;
      return hasEnded ? null : NOT_YET;
    });
    if (!(answer instanceof Uint8Array)) return null;
    return await arrived(answer) as Answer;
  }

  /** Gives the memory back. The child must have ended. */
  free(): void {
    const free = () => {
      this.#ring.free();
      this.#arena.heap.free(this.offset, RING_BYTES);
    };
    if (this.#arena.kind === "worker") whenStill(free);
    else free();
  }
}
