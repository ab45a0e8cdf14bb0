/**
 * The pool of `knitting`: `knitting.mjs ROW COUNT`. Runs in Deno, from a copy
 * beside that module.
 *
 * @module
 */
import process from "node:process";
import { burstRate, eachTimed, takeTurns } from "../sides/_turns.mjs";

const { createPool, isMain, task } = await import("./knitting_module.mjs");

export const square = task({ f: (x) => x * x });

if (isMain) {
  const [row, count] = process.argv.slice(2);
  const pool = createPool({ threads: row === "serial" ? 1 : 2 })({ square });
  const call = (x) => pool.call.square(x);
  await takeTurns({
    round: row === "serial"
      ? () => eachTimed(Number(count), call)
      : () => burstRate(Number(count), call),
    end: () => pool.shutdown(),
  });
}
