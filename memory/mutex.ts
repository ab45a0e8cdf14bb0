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
 * derived from it. A thread that was condemned gets {@linkcode MERCY_MS} to stop:
 * its end takes effect at the next loop or call, microseconds later.
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
/** Napped this long, a waiter asks whether the holder is still there. */
const SUSPICION_MS = 5;
/** How long a condemned thread may still be running; see the module. */
const MERCY_MS = 20;
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
      nappedMs > SUSPICION_MS &&
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
  return participants.standing(holder) !== "alive" ||
    (nappedMs > MERCY_MS && participants.isStopped(holder));
}
