/**
 * A program to compile: both start methods in one file that runs without Deno.
 *
 * ```sh
 * deno compile --allow-read --allow-run --allow-ffi --output app examples/compiled_app.ts
 * ./app 10
 * ```
 *
 * It runs uncompiled as well:
 *
 * ```sh
 * deno run --allow-read --allow-run --allow-ffi examples/compiled_app.ts 10
 * ```
 *
 * Nothing in it is there because it is compiled. Nothing is included beside it,
 * either: what children run is imported by the package's front door.
 *
 * @module
 */
import {
  currentProcess,
  getAllStartMethods,
  getContext,
  type Queue,
} from "../mod.ts";

/** A task for the pool. */
export function square(x: number): number {
  return x * x;
}

/** What a process does: answers with the sum of what it was asked. */
export async function sum(
  questions: Queue<number[]>,
  answers: Queue<[name: string, sum: number]>,
): Promise<void> {
  const numbers = await questions.get();
  const total = numbers.reduce((a, b) => a + b, 0);
  await answers.put([currentProcess().name, total]);
}

/**
 * The program.
 *
 * @param args Its arguments: how many squares to add.
 */
export async function main(args: string[]): Promise<void> {
  const count = Number(args[0] ?? 10);
  const numbers = Array.from({ length: count }, (_, i) => i + 1);
  for (const method of getAllStartMethods()) {
    const ctx = getContext(method);
    await using pool = new ctx.Pool(2);
    const squares = await pool.map(square, numbers);

    const questions = new ctx.Queue<number[]>();
    const answers = new ctx.Queue<[string, number]>();
    const process = new ctx.Process({
      target: sum,
      args: [questions, answers],
      name: "adder",
    });
    process.start();
    await questions.put(squares);
    const [name, total] = await answers.get();
    await process.join();
    console.log(`${method}: ${name} says ${total}, exit ${process.exitCode}`);
  }
}

if (import.meta.main) await main(Deno.args);
