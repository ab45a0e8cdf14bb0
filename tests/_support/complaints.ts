/**
 * What is said on the console of errors that nobody can catch.
 *
 * @module
 */

/** What has been said, until it is disposed. */
export interface Complaints extends Disposable {
  /** Each thing said, oldest first. */
  readonly said: readonly string[];
}

/** Listens to the console instead of writing. */
export function complaints(): Complaints {
  const said: string[] = [];
  const { error } = console;
  console.error = (text) => void said.push(String(text));
  return { said, [Symbol.dispose]: () => void (console.error = error) };
}
