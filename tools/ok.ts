/**
 * The gate: runs every check in order, says for each whether it holds and how long
 * that took, and stops at the first that fails, with all that it printed.
 *
 * The quick ones come first, so that a typing error is known within seconds.
 * CONTRIBUTING.md says what each is for.
 *
 * Run by `deno task ok`.
 *
 * @module
 */

const STEPS = [
  "fmt:check",
  "lint",
  "layers",
  "check",
  "doc:lint",
  "test:doc",
  "test",
  "publish:check",
];

/** Wide enough for the longest name above. */
const NAME_WIDTH = Math.max(...STEPS.map((step) => step.length));

/** Runs a task of `deno.json`; gives what it printed if it failed. */
async function run(task: string): Promise<Uint8Array<ArrayBuffer>[] | null> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", task],
    cwd: `${import.meta.dirname}/..`,
  }).output();
  return success ? null : [stdout, stderr];
}

for (const step of STEPS) {
  const start = performance.now();
  const output = await run(step);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const verdict = output === null ? "ok" : "FAILED";
  console.log(`${step.padEnd(NAME_WIDTH)}  ${verdict}  ${seconds} s`);
  if (output === null) continue;

  for (const text of output) await Deno.stdout.write(text);
  console.log(`Stopped at: deno task ${step}`);
  Deno.exit(1);
}
console.log("All is well");
