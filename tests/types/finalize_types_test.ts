/**
 * What of Finalize compiles and what does not. Nothing of this runs but the empty
 * test: the compiler is what checks.
 *
 * @module
 */
import { Finalize } from "../../contexts/mod.ts";
import type { FinalizeOptions } from "../../contexts/mod.ts";

declare function remove(path: string, force?: boolean): number;
declare function nothing(): void;

/** Never called. */
export function compiles(): void {
  const typed = new Finalize(null, remove, {
    args: ["a", true],
    exitPriority: 0,
  });
  const called: unknown = typed();
  const active: boolean = typed.stillActive();
  using ended = typed;
  const options: FinalizeOptions<[number]> = { args: [1], exitPriority: null };
  new Finalize({}, (n: number) => n, options);
  new Finalize({}, nothing);
  new Finalize(nothing, async () => await Promise.resolve());

  // @ts-expect-error An argument of the wrong type
  new Finalize(null, remove, { args: [1], exitPriority: 0 });
  // @ts-expect-error One too many
  new Finalize(null, nothing, { args: [1], exitPriority: 0 });
  // @ts-expect-error Not an object
  new Finalize("text", nothing);
  // @ts-expect-error Not a number
  new Finalize(null, nothing, { exitPriority: "high" });
  // @ts-expect-error It takes nothing when it is called
  typed(1);
  void [called, active, ended];
}

Deno.test("Finalize has the types it should", () => {});
