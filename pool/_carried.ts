/**
 * What encoded arguments of tasks carry besides their bytes, which few do: handles of
 * shared objects and shared buffers. It is kept beside them.
 *
 * A handle stands for one reference, which the worker takes over when it decodes
 * it; a task that no worker decodes has to give them back. Buffers are handed to
 * whichever worker is given the task: see `contexts/buffer_port.ts`.
 *
 * Runs in the parent.
 *
 * @module
 */

/** What a message carries. */
export interface Carried {
  /** What takes back the handles in it, if there are any. */
  readonly takeBacks: readonly (() => void)[] | undefined;
  /** The shared buffers that it refers to by their places here, if there are any. */
  readonly buffers: readonly SharedArrayBuffer[] | undefined;
}

const noted = new WeakMap<object, Carried>();

/**
 * Notes down what encoded arguments carry.
 *
 * @param body The arguments.
 * @param carried What they carry, if anything.
 */
export function noteCarried(body: object, carried: Carried | undefined): void {
  if (!carried) return;
  const { takeBacks, buffers } = carried;
  if (takeBacks || buffers) noted.set(body, { takeBacks, buffers });
}

/** What encoded arguments carry, if anything. */
export function carriedBy(body: object): Carried | undefined {
  return noted.get(body);
}

/** Gives up the handles in what nobody will decode. */
export function giveBack(carried: Carried | undefined): void {
  carried?.takeBacks?.forEach((takeBack) => takeBack());
}
