/**
 * The way out of a connection: frames in the order in which they were sent, each
 * written whole before the next begins. Small ones that wait are written together.
 *
 * A frame that waits can be taken back. One that has been begun cannot, as half a
 * frame would spoil all that follow; a sender that gives up then is told so, and
 * the frame goes on its way. One that does not want to wait begins all the same, if
 * nothing is before it, and is told when the system has had time to take it.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { TimeoutError } from "../errors.ts";
import { checkedLimits } from "../memory/mod.ts";
import type { WaitOptions } from "../memory/mod.ts";
import { Fifo } from "./_fifo.ts";
import { limit } from "./_waits.ts";

/** Frames that wait are put together up to this: four writes cost as one. */
const TOGETHER_BYTES = 64 * 1024;

/**
 * What the system has at least to say whether it has taken a frame. Mostly it says
 * so in the next turn of the event loop; whether a socket that was just accepted
 * takes anything has to be found out first, which may take several.
 */
const ATTEMPT_MS = 10;

/** Where bytes go: a `Deno.Conn`. */
export interface ByteSink {
  /** Writes some of the bytes; says how many. */
  write(bytes: Uint8Array): Promise<number>;
}

/** A frame that is not written yet. */
interface Pending {
  /** Not there any more if it was taken back. */
  frame: Uint8Array | undefined;
  /** Whether it can still be taken back. */
  isWaiting: boolean;
  resolve(): void;
  reject(error: unknown): void;
}

/** See the module. */
export class Outbox {
  readonly #sink: ByteSink;
  readonly #onWriting: (isWriting: boolean) => void;
  readonly #waiting = new Fifo<Pending>();
  /** Places in that line whose frame was taken back. */
  #gaps = 0;
  /** What is being written. */
  #batch: readonly Pending[] = [];
  #isWriting = false;
  /** Why nothing can be written any more. */
  #failure: (() => Error) | undefined;

  /**
   * Starts with nothing to write.
   *
   * @param sink Where the bytes go.
   * @param onWriting Told before each write, and when there is nothing to write
   * any more.
   */
  constructor(sink: ByteSink, onWriting: (isWriting: boolean) => void) {
    this.#sink = sink;
    this.#onWriting = onWriting;
  }

  /** Whether something is being written or waits to be. */
  get isBusy(): boolean {
    return this.#isWriting;
  }

  /**
   * Sends a frame. Its place in the order is that of this call.
   *
   * @param frame The frame, which must not change.
   * @param options How long to wait.
   */
  async send(frame: Uint8Array, options: WaitOptions = {}): Promise<void> {
    const { timeout, signal } = checkedLimits(options);
    if (this.#failure) throw this.#failure();
    if (timeout <= 0 && this.#isWriting) throw outOfTime("nothing was sent");

    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const pending: Pending = { frame, isWaiting: true, resolve, reject };
    this.#waiting.push(pending);
    if (!this.#isWriting) this.#drain();
    if (timeout === Infinity && !signal) return await promise;
    const limits = limit({ timeout, signal }, {
      onTimeout: () =>
        reject(outOfTime(
          this.#takeBack(pending)
            ? "nothing was sent"
            : "the message has been begun and may still arrive",
        )),
      onAbort: () => {
        this.#takeBack(pending);
        reject(signal?.reason);
      },
    }, ATTEMPT_MS);
    try {
      await promise;
    } finally {
      limits.lift();
    }
  }

  /** Lets nothing out any more; what is not out is rejected. */
  close(failure: () => Error): void {
    if (this.#failure) return;
    this.#failure = failure;
    for (const { reject } of this.#batch) reject(failure());
    for (const { reject } of this.#waiting.takeAll()) reject(failure());
  }

  /** Nobody reads any more. */
  breakOff(cause: unknown): void {
    this.close(() => brokenPipe(cause));
  }

  #takeBack(pending: Pending): boolean {
    if (!pending.isWaiting) return false;
    // Its place stays, as the others would have to move; until it pays.
    pending.frame = undefined;
    this.#gaps++;
    if (this.#gaps * 2 > this.#waiting.size) {
      this.#waiting.keepOnly(({ frame }) => frame !== undefined);
      this.#gaps = 0;
    }
    return true;
  }

  async #drain(): Promise<void> {
    this.#isWriting = true;
    while (this.#waiting.size > 0) {
      this.#batch = this.#nextBatch();
      try {
        await this.#write(together(this.#batch.map(({ frame }) => frame!)));
        for (const { resolve } of this.#batch) resolve();
      } catch (error) {
        this.breakOff(error);
      }
      this.#batch = [];
    }
    this.#isWriting = false;
    this.#onWriting(false);
  }

  #nextBatch(): Pending[] {
    const batch: Pending[] = [];
    let byteLength = 0;
    let next: Pending | undefined;
    while ((next = this.#waiting.first)) {
      const { frame } = next;
      byteLength += frame?.byteLength ?? 0;
      if (byteLength > TOGETHER_BYTES && batch.length > 0) break;
      this.#waiting.take();
      next.isWaiting = false;
      if (frame) batch.push(next);
      else this.#gaps--;
    }
    return batch;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    let written = 0;
    while (written < bytes.byteLength && !this.#failure) {
      this.#onWriting(true);
      written += await this.#sink.write(bytes.subarray(written));
    }
  }
}

function together(frames: readonly Uint8Array[]): Uint8Array {
  if (frames.length === 1) return frames[0]!;
  const byteLength = frames.reduce((sum, frame) => sum + frame.byteLength, 0);
  const whole = new Uint8Array(byteLength);
  let position = 0;
  for (const frame of frames) {
    whole.set(frame, position);
    position += frame.byteLength;
  }
  return whole;
}

function outOfTime(what: string): TimeoutError {
  return new TimeoutError(
    `Cannot send in time as too many bytes wait to be received: ${what}`,
  );
}

function brokenPipe(cause: unknown): Error {
  const options = cause === undefined ? {} : { cause };
  return new Deno.errors.BrokenPipe(
    "Cannot send as the other end is closed",
    options,
  );
}
