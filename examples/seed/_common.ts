/** What the programs of this folder have in common. */
import type { StartMethod } from "../../mod.ts";

/** The start method that the command line asks for: `--method spawn|worker`. */
export function startMethod(): StartMethod {
  const at = Deno.args.indexOf("--method");
  const method = at < 0 ? "spawn" : Deno.args[at + 1];
  if (method === "spawn" || method === "worker") return method;
  console.error(`--method is spawn or worker, not "${method}"`);
  Deno.exit(2);
}

/** The numbers from a first one up to, and without, a last one. */
export function range(first: number, last: number): number[] {
  return Array.from({ length: last - first }, (_, i) => first + i);
}

/** One line, however many items there are. */
export function listed(items: Iterable<unknown>): string {
  return `[${[...items].map((item) => String(item)).join(", ")}]`;
}
