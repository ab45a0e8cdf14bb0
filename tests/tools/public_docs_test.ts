import { assertEquals } from "@std/assert";
import { findWithoutExample } from "../../tools/public_docs.ts";

/** What Deno says of a module. */
async function docOf(source: string): Promise<string> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/mod.ts`, source);
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["doc", "--json", `${folder}/mod.ts`],
    }).output();
    return new TextDecoder().decode(stdout);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const FENCE = "```";

Deno.test("findWithoutExample() finds what is not shown", async () => {
  const json = await docOf(`
/** Shown. @example In use
 * ${FENCE}ts
 * shown();
 * ${FENCE}
 */
export function shown(): void {}
/** Not shown. */
export function hidden(): void {}
/** Shown in its text.
 *
 * ${FENCE}ts
 * new Shown();
 * ${FENCE}
 */
export class Shown {}
/** Not shown. */
export class Hidden {}
/** Not shown. */
export const HIDDEN = 1;
/** A type. */
export interface Type {}
/** One of two. */
export function two(): void;
/** The other.
 *
 * @example In use
 * ${FENCE}ts
 * two(1);
 * ${FENCE}
 */
export function two(n: number): void;
export function two(_n?: number): void {}
`);
  assertEquals(
    findWithoutExample(json).map((line) => line.replace(/^.*\//, "")),
    [
      "mod.ts:18 Hidden has no example",
      "mod.ts:20 HIDDEN has no example",
      "mod.ts:9 hidden has no example",
    ],
  );
});
