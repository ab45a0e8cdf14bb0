/**
 * A mutex for sections of a few microseconds inside this library: the allocator,
 * the ends of a ring. Users' locks are another matter (`primitives/lock.ts`).
 *
 * One word: 0, or the token of the holder. Waiting spins, then naps, and never
 * returns to the event loop, so that a section is one uninterrupted piece of
 * code.
 *
 * **The holder may be killed in its section.** Whoever waits therefore looks
 * whether the holder can still run, and takes the mutex from one that cannot.
 * `lock()` says so, and each section is written so that the next holder can put
 * right what was left half done: by one store that commits, with everything else
 * derived from it. One that has been buried loses it at once, any other after
 * {@linkcode MERCY_MS}: the end of a condemned thread takes effect at its next loop
 * or call, microseconds later, but first it has to get to run; and one that has
 * said that it leaves may still have a few things to do.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { ProcessError } from "../errors.ts";
import { nap } from "./memory.ts";
import type { Participants } from "./participants.ts";

/** Tries before the first nap: about 5 µs, the length of a section. */
const SPINS = 200;
/** First nap, in milliseconds; doubled up to the longest. */
const FIRST_NAP_MS = 0.02;
/** Longest nap: how late a waiter may notice the release. */
const LONGEST_NAP_MS = 1;
/**
 * Napped this long, a waiter goes and sees whether the holder can still run; by
 * then a condemned thread has stopped. Naps are counted, not time: on a machine
 * so busy that the thread has not run, the waiter has hardly run either.
 */
const MERCY_MS = 100;
/** Napped this long, something stopped the holder (a debugger, SIGSTOP). */
const HOPELESS_MS = 10_000;

/**
 * Takes the mutex.
 *
 * @param words Where it lies.
 * @param index Which word it is.
 * @param me Token of the caller.
 * @param participants To tell whether a holder can still run.
 * @returns `true` if it was taken from a holder that died in its section.
 * @throws {ProcessError} If a living holder does not let go for 10 seconds.
 */
export function lock(
  words: Int32Array,
  index: number,
  me: number,
  participants: Participants,
): boolean {
  for (let spin = 0; spin < SPINS; spin++) {
    if (Atomics.compareExchange(words, index, 0, me) === 0) return false;
  }
  let napMs = FIRST_NAP_MS;
  let nappedMs = 0;
  while (true) {
    const holder = Atomics.compareExchange(words, index, 0, me);
    if (holder === 0) return false;
    if (
      isGone(holder, nappedMs, participants) &&
      Atomics.compareExchange(words, index, holder, me) === holder
    ) {
      return true;
    }
    if (nappedMs > HOPELESS_MS) {
      throw new ProcessError(
        "Cannot use a shared object as another process stopped in the middle of using it: it is alive and has not gone on for 10 s",
      );
    }
    nap(napMs);
    nappedMs += napMs;
    napMs = Math.min(napMs * 2, LONGEST_NAP_MS);
  }
}

/**
 * Takes the mutex if it is free now.
 *
 * @returns Whether it was taken.
 */
export function tryLock(words: Int32Array, index: number, me: number): boolean {
  return Atomics.compareExchange(words, index, 0, me) === 0;
}

/** Lets the mutex go; only its holder does. */
export function unlock(words: Int32Array, index: number): void {
  Atomics.store(words, index, 0);
}

function isGone(
  holder: number,
  nappedMs: number,
  participants: Participants,
): boolean {
  return !participants.isCurrent(holder) ||
    (nappedMs > MERCY_MS && participants.isStopped(holder));
}
