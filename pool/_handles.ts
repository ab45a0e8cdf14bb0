/**
 * Handles of shared objects among the arguments of tasks. Each stands for one
 * reference, which the worker takes over when it decodes them. A task that no
 * worker decodes has to give them back: these are kept beside the encoded
 * arguments, as few have any.
 *
 * Runs in the parent.
 *
 * @module
 */

/** What takes back the handles of a message. */
export type TakeBacks = readonly (() => void)[];

const carried = new WeakMap<object, TakeBacks>();

/**
 * Notes down what takes back the handles in encoded arguments.
 *
 * @param body The arguments.
 * @param takeBacks What takes them back, if there are any.
 */
export function noteHandles(
  body: object,
  takeBacks: TakeBacks | undefined,
): void {
  if (takeBacks && takeBacks.length > 0) carried.set(body, takeBacks);
}

/** What takes back the handles in encoded arguments, if there are any. */
export function handlesIn(body: object): TakeBacks | undefined {
  return carried.get(body);
}
