/**
 * The one place where a start method is chosen.
 *
 * Runs in the parent.
 *
 * @module
 */
import { isGranted } from "../memory/mod.ts";
import type { MemoryKind } from "../memory/mod.ts";
import type { Launcher } from "./launch.ts";
import { spawn } from "./spawn.ts";
import { worker } from "./worker.ts";

const LAUNCHERS: Record<MemoryKind, Launcher> = { spawn, worker };

/** The launcher of a start method. */
export function launcherFor(kind: MemoryKind): Launcher {
  return LAUNCHERS[kind];
}

/** Where memory can be shared between processes: see `memory/_system.ts`. */
const SYSTEMS: readonly (typeof Deno.build.os)[] = [
  "linux",
  "darwin",
  "windows",
];

/**
 * Checks early that a start method can work at all.
 *
 * @param kind The start method.
 * @param os Where.
 * @throws {Deno.errors.NotSupported} If this system cannot.
 * @throws {Deno.errors.NotCapable} If a permission is missing, naming the flag.
 */
export function checkUsable(
  kind: MemoryKind,
  os: typeof Deno.build.os = Deno.build.os,
): void {
  if (kind === "worker") return;
  if (!SYSTEMS.includes(os)) {
    throw new Deno.errors.NotSupported(
      `Cannot share memory between processes on ${os}, only on ${
        SYSTEMS.join(", ")
      }: use getContext("worker"), or setStartMethod("worker") for the whole program`,
    );
  }
  if (!isGranted()) {
    throw new Deno.errors.NotCapable(
      'Cannot share memory between processes without FFI: run with --allow-ffi, or use getContext("worker")',
    );
  }
}
