/**
 * Where a worker calls the user's function, so that V8 compiles that function for
 * itself.
 *
 * V8's middle compiler puts a function it has always seen at one call into the
 * code around it. The loop over a chunk is such code, and it stays with the middle
 * compiler: it is entered too seldom to reach the best one. A user's loop that was
 * put into it stayed there as well and ran 2 to 6 times slower than the same call
 * in a plain loop (Deno 2.9.6, V8 15.0: arithmetic on 32-bit numbers 2 times,
 * Newton's square roots 6 times). A call that has met many functions is left a
 * call, at 2 to 3 ns, and the function becomes as fast as it can be.
 *
 * So each call here has met many functions before the user's.
 *
 * Runs in the child.
 *
 * @module
 */

/** A user's function. */
export type Callable = (...args: unknown[]) => unknown;

/** Calls with one argument: an item of `map`. */
export function callWithItem(fn: Callable, item: unknown): unknown {
  return fn(item);
}

/** Calls with all arguments: a task, or an item of `starmap`. */
export function callWithAll(fn: Callable, args: unknown): unknown {
  return fn(...args as unknown[]);
}

/** V8 tells up to four functions at a call from each other. */
const OTHERS: readonly Callable[] = [
  () => 0,
  () => 1,
  () => 2,
  () => 3,
  () => 4,
  () => 5,
];
/** V8 takes no notes of the first calls. Five rounds were enough. */
const ROUNDS = 10;

for (let round = 0; round < ROUNDS; round++) {
  for (const other of OTHERS) {
    callWithItem(other, round);
    callWithAll(other, []);
  }
}
