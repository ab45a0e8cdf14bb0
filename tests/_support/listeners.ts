/**
 * A signal that knows who listens to it.
 *
 * @module
 */

/** A signal that is never aborted, and how many listeners it has. */
export function countedSignal(): { signal: AbortSignal; count(): number } {
  const { signal } = new AbortController();
  let listeners = 0;
  for (const [name, change] of [["add", 1], ["remove", -1]] as const) {
    const method = `${name}EventListener` as const;
    const original = signal[method].bind(signal) as (...args: never[]) => void;
    Object.defineProperty(signal, method, {
      value: (...args: never[]) => {
        listeners += change;
        original(...args);
      },
    });
  }
  return { signal, count: () => listeners };
}
