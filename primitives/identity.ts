/**
 * What this participant is called, for texts only. Set once as a child starts.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */

/** See the module. */
export const identity: { name: string } = { name: "MainProcess" };
