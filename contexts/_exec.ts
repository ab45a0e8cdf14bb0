/**
 * The program that starts children, if `setExecutable()` has chosen another than
 * the running one.
 *
 * @module
 */

/** See the module. */
export const EXEC: { path: string | undefined } = { path: undefined };
