/**
 * Lays two results files side by side, to see whether another day or another
 * machine says the same: for each target what was measured against it, and whether
 * the two differ by more than the noise.
 *
 * The noise of a ratio is that of both sides it is made of, in the run in which
 * they were noisier.
 *
 * ```sh
 * git show HEAD~1:bench/RESULTS.md > /tmp/before.md
 * deno run --allow-read bench/compare.ts /tmp/before.md bench/RESULTS.md
 * ```
 *
 * @module
 */

/** What a results file says of one target. */
interface Verdict {
  /** What was measured, as a ratio or in the unit of the row. */
  readonly value: number;
  /** Half of all rounds lie within this part of it. */
  readonly noise: number;
}

/** Reads the verdicts of a results file, by row, side and target. */
function readVerdicts(text: string): Map<string, Verdict> {
  const verdicts = new Map<string, Verdict>();
  for (const section of text.split(/^## /m).slice(1)) {
    const row = /^[\w-]+/.exec(section)![0];
    const lines = [...section.matchAll(/^\|(.+)\|$/gm)].map(([, cells]) =>
      cells!.split("|").map((cell) => cell.trim())
    );
    const noiseOf = new Map(
      lines.map((
        [side, , , noise],
      ) => [side, parseFloat(noise!.slice(1)) / 100]),
    );
    for (const [side, , , , , verdict] of lines) {
      for (
        const [, target, value] of (verdict ?? "").matchAll(
          /[✓✗] ([^;]+): ([\d.,]+)/g,
        )
      ) {
        if (target!.startsWith("aim")) continue;
        const against = / x (.+)$/.exec(target!)?.[1];
        verdicts.set(`${row} | ${side} | ${target}`, {
          value: Number(value!.replaceAll(",", "")),
          noise: noiseOf.get(side!)! + (noiseOf.get(against!) ?? 0),
        });
      }
    }
  }
  return verdicts;
}

/** Lays them side by side. */
function compare(before: string, after: string): string[] {
  const [first, second] = [readVerdicts(before), readVerdicts(after)];
  const lines = [
    "| row | side | target | before | after | apart | noise | |",
    "| --- | --- | --- | ---: | ---: | ---: | ---: | --- |",
  ];
  const percent = (part: number) => `${Math.round(part * 100)}%`;
  for (const [name, a] of first) {
    const b = second.get(name);
    if (!b) continue;
    const apart = Math.abs(b.value - a.value) / Math.max(a.value, b.value);
    const noise = Math.max(a.noise, b.noise);
    const verdict = apart <= noise ? "the same" : "differs";
    lines.push(
      `| ${name} | ${a.value} | ${b.value} | ${percent(apart)} | ${
        percent(noise)
      } | ${verdict} |`,
    );
  }
  return lines;
}

if (import.meta.main) {
  const [before, after] = Deno.args;
  if (before === undefined || after === undefined) {
    console.error("Cannot compare: give two results files");
    Deno.exit(1);
  }
  const [first, second] = [before, after].map((path) =>
    Deno.readTextFileSync(path)
  );
  const dayOf = (text: string) => /^- (\d{4}-.*UTC)$/m.exec(text)?.[1];
  console.log(`before: ${dayOf(first!)}, after: ${dayOf(second!)}\n`);
  for (const line of compare(first!, second!)) console.log(line);
}
