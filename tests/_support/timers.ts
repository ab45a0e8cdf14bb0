/**
 * Timers that are longer than a timer can be: they would strike at once.
 *
 * @module
 */

/** The most that fits. */
const LONGEST_MS = 2 ** 31 - 1;

/** Those that are set until this is disposed of, in milliseconds. */
export function overlongTimers(): Disposable & { readonly seen: number[] } {
  const originals = { setTimeout, setInterval };
  const seen: number[] = [];
  for (const name of ["setTimeout", "setInterval"] as const) {
    const original = globalThis[name] as (...args: unknown[]) => unknown;
    Object.assign(globalThis, {
      [name]: (act: unknown, ms = 0, ...args: unknown[]) => {
        if (ms > LONGEST_MS) seen.push(ms);
        return original(act, ms, ...args);
      },
    });
  }
  return {
    seen,
    [Symbol.dispose]: () => void Object.assign(globalThis, originals),
  };
}
