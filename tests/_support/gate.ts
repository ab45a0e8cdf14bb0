/**
 * Where tests and their children meet: words in shared memory. Nobody sleeps to
 * "let it happen"; whoever waits looks at a word until it says what it has to
 * say, and gives up loudly.
 *
 * Looking, rather than the library's own waiting, so that a fault in the waiting
 * cannot hide itself.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */

/** Long enough for a slow machine: it only ends what would hang for ever. */
const LIMIT_MS = 30_000;
/** Milliseconds between two looks. */
const LOOK_MS = 1;

const nap = new Int32Array(new SharedArrayBuffer(4));

/** One word that counts up or is set, and that others look at. */
export class Gate {
  readonly #words: Int32Array;
  readonly #index: number;

  /**
   * Opens a gate.
   *
   * @param words Shared words.
   * @param index Which of them it is.
   */
  constructor(words: Int32Array, index: number) {
    this.#words = words;
    this.#index = index;
  }

  /** What it says now. */
  get value(): number {
    return Atomics.load(this.#words, this.#index);
  }

  /** Sets it. */
  set(value = 1): void {
    Atomics.store(this.#words, this.#index, value);
  }

  /** Adds one: "I am here". */
  arrive(): void {
    Atomics.add(this.#words, this.#index, 1);
  }

  /**
   * Waits until it says at least `value`.
   *
   * @param value What to wait for.
   * @param what What that means, for the message of a hang.
   */
  async reaches(value: number, what: string): Promise<void> {
    await until(() => this.value >= value, () => this.#missing(value, what));
  }

  /** The same, blocking the thread. */
  reachesSync(value: number, what: string): void {
    untilSync(() => this.value >= value, () => this.#missing(value, what));
  }

  #missing(value: number, what: string): string {
    return `${what}: the gate says ${this.value} of ${value}`;
  }
}

/**
 * Waits until a condition holds.
 *
 * @param condition Looked at once a millisecond.
 * @param what What is waited for, for the message of a hang.
 * @param limitMs When to give up.
 */
export async function until(
  condition: () => boolean,
  what: string | (() => string),
  limitMs: number = LIMIT_MS,
): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > deadline) throw hang(what, limitMs);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/**
 * The same, blocking the thread.
 *
 * @param condition Looked at once a millisecond.
 * @param what What is waited for, for the message of a hang.
 * @param limitMs When to give up.
 */
export function untilSync(
  condition: () => boolean,
  what: string | (() => string),
  limitMs: number = LIMIT_MS,
): void {
  const deadline = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > deadline) throw hang(what, limitMs);
    Atomics.wait(nap, 0, 0, LOOK_MS);
  }
}

function hang(what: string | (() => string), limitMs: number): Error {
  const text = typeof what === "string" ? what : what();
  return new Error(`Nothing happened for ${limitMs} ms: ${text}`);
}
