/**
 * Comparing types: what this does is done by the compiler.
 *
 * @module
 */

/** Compiles only if the two types are the same. */
export function exactly<A>(): <B>(
  value: B,
  ...same: (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2)
    ? []
    : [never]
) => void {
  return () => {};
}

/** Never called: it would be of no use if it let everything through. */
export function _comparing(): void {
  const value: number = 1;
  // @ts-expect-error: wider
  exactly<number | string>()(value);
  // @ts-expect-error: a number can be assigned to it, but is not the same
  exactly<unknown>()(value);
  // deno-lint-ignore no-explicit-any -- any is assignable to everything
  const anything: any = value;
  // @ts-expect-error: so a comparison has to tell it from the rest
  exactly<number>()(anything);
}
