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
 * Whether a daemon that never returns to its event loop ends with its parent. Each
 * system does that in a way of its own, which portable code cannot show on Linux.
 */
export const endsBusyDaemons: boolean = !isPortable;
