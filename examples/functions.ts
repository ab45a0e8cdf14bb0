/** Functions for the other examples: tasks have to be exported by a module. */

/** The square of a number. */
export function square(x: number): number {
  return x * x;
}
