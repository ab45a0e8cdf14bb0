/** Functions for the other examples: tasks have to be exported by a module. */

/** The square of a number. */
export function square(x: number): number {
  return x * x;
}

/** Fails with an error that says this. */
export function fail(message: string): never {
  throw new RangeError(message);
}

/** Ends whoever runs it. */
export function leave(exitCode: number): never {
  Deno.exit(exitCode);
}
