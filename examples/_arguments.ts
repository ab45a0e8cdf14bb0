/** What the examples' command lines have in common. */
import type { StartMethod } from "../mod.ts";

/** The start method that was asked for with `--method spawn|worker`. */
export function startMethod(args: string[] = Deno.args): StartMethod {
  const method = option("--method", "spawn", args);
  if (method === "spawn" || method === "worker") return method;
  return refuse(`--method is spawn or worker, not "${method}"`);
}

/** The word after an option, or what it is if it is not given. */
export function option(
  name: string,
  otherwise: string,
  args: string[] = Deno.args,
): string {
  const at = args.indexOf(name);
  if (at < 0) return otherwise;
  return args[at + 1] ?? refuse(`${name} needs a value`);
}

/** What is neither an option nor its value. */
export function words(args: string[] = Deno.args): string[] {
  return args.filter((word, i) =>
    !word.startsWith("--") && !args[i - 1]?.startsWith("--")
  );
}

/** Ends the program as its command line makes no sense. */
export function refuse(message: string): never {
  console.error(message);
  Deno.exit(2);
}
