/**
 * Whether the tests run on the memory and waiting that all systems have, which is
 * what `deno task test:portable` is for.
 *
 * Runs in the parent.
 *
 * @module
 */

/** See the module. */
export const isPortable: boolean =
  Deno.env.get("MULTIPROCESSING_WAITING") === "portable";

/**
 * What only Linux does: to end a daemon with its parent even if it never returns
 * to its event loop.
 */
export const endsBusyDaemons: boolean = !isPortable;
