/**
 * Measures the library beside its rivals: `deno task bench [NAME…]`.
 *
 * All sides of a row take turns within one run, so that whatever else the machine
 * does slows them all alike; what is compared is the ratio within each round. Run
 * it on a quiet machine all the same. Results of different machines or days cannot
 * be compared, their ratios can.
 *
 * Writes `RESULTS.md` beside this file: all rows if all were run, and otherwise
 * those that were in place of what they were before.
 *
 * @module
 */
import { install } from "./_rivals.ts";
import type { Installed } from "./_rivals.ts";
import { rowsFor } from "./_rows.ts";
import type { Row, Target } from "./_rows.ts";
import { Side } from "./_side.ts";
import { median, noise } from "./_stats.ts";

const RESULTS = new URL("./RESULTS.md", import.meta.url);
/** After this a row has no further rounds, in milliseconds, … */
const ROW_MS = 40_000;
/** … if it has had so many; */
const LEAST_ROUNDS = 3;
/** after this, one is enough. */
const LONGEST_ROW_MS = 80_000;
/** The one row that is not like the others: see {@linkcode codec}. */
const CODEC = "codec";

/** Copies what runs beside the rivals to where they are. */
async function prepare(rivals: Installed): Promise<void> {
  const copy = async (name: string) =>
    await Deno.copyFile(
      new URL(`./${name}`, import.meta.url),
      `${rivals.folder}/${name}`,
    );
  await Deno.mkdir(`${rivals.folder}/rivals`, { recursive: true });
  await Deno.mkdir(`${rivals.folder}/sides`, { recursive: true });
  for (
    const { name } of Deno.readDirSync(new URL("./rivals/", import.meta.url))
  ) {
    await copy(`rivals/${name}`);
  }
  await copy("sides/_turns.mjs");
  if (rivals.knitting !== undefined) {
    await Deno.writeTextFile(
      `${rivals.folder}/rivals/knitting_module.mjs`,
      `export * from ${JSON.stringify(`file://${rivals.knitting}`)};\n`,
    );
  }
}

// They are not of this program's group, and stopped most of the time.
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => {
    Side.killAll();
    Deno.exit(1);
  });
}

async function measure(row: Row): Promise<Side[]> {
  const sides: Side[] = [];
  for (const [name, command] of Object.entries(row.sides)) {
    try {
      const side = new Side(name, command);
      sides.push(side);
      // Then the next: they would be in each other's way while they warm up.
      await side.ready();
    } catch (error) {
      console.log(`  ${name}: left out, ${error}`);
    }
  }
  const startMs = performance.now();
  for (let round = 0; round < row.rounds; round++) {
    const ms = performance.now() - startMs;
    if (ms > LONGEST_ROW_MS && round > 0) break;
    if (ms > ROW_MS && round >= LEAST_ROUNDS) break;
    // There and back, so that nobody always comes after the same one.
    const order = round % 2 === 0 ? sides : sides.toReversed();
    for (const side of order) await side.round();
  }
  for (const side of sides) await side.end();
  return sides;
}

interface Verdict {
  readonly text: string;
  readonly isMet: boolean;
}

/** The ratio of two sides, round by round. */
function ratioOf(side: Side, other: Side): number {
  const ratios = side.samples.map(({ value }, i) =>
    value / (other.samples[i]?.value ?? NaN)
  ).filter(Number.isFinite);
  return median(ratios);
}

function judge(
  row: Row,
  target: Target,
  sides: readonly Side[],
): Verdict | undefined {
  const side = sides.find(({ name }) => name === target.side);
  const other = sides.find(({ name }) => name === target.against);
  if (!side || side.failure !== undefined) return undefined;
  if (target.against !== undefined && (!other || other.failure !== undefined)) {
    return {
      text: `${target.level}: ${target.against} is missing`,
      isMet: true,
    };
  }
  const found = other
    ? ratioOf(side, other)
    : median(side.samples.map(({ value }) => value));
  const isMet = row.isMoreBetter
    ? found >= target.limit
    : found <= target.limit;
  const sign = row.isMoreBetter ? "≥" : "≤";
  const what = other ? ` x ${target.against}` : ` ${row.unit}`;
  return {
    text: `${isMet ? "✓" : "✗"} ${target.level} ${sign} ${
      short(target.limit)
    }${what}: ${short(found)}`,
    isMet,
  };
}

function short(value: number): string {
  if (!Number.isFinite(value)) return "-";
  if (Math.abs(value) >= 1000) {
    return Math.round(value).toLocaleString("en-US");
  }
  return String(Number(value.toPrecision(3)));
}

function report(row: Row, sides: readonly Side[], seconds: number): string {
  const lines = [
    `## ${row.name}: ${row.title}`,
    "",
    `${row.unit}, ${row.isMoreBetter ? "more" : "less"} is better; ${
      Math.max(...sides.map(({ samples }) => samples.length))
    } rounds, ${Math.round(seconds)} s, load ${loadAverage()}`,
    "",
    "| side | median | p99 | noise | to the first | verdict |",
    "| --- | ---: | ---: | ---: | ---: | --- |",
  ];
  const first = sides[0];
  for (const side of sides) {
    if (side.failure !== undefined || side.samples.length === 0) {
      const why = (side.failure ?? "no result").replaceAll("|", "/");
      lines.push(`| ${side.name} | failed | | | | ${why} |`);
      continue;
    }
    const values = side.samples.map(({ value }) => value);
    const p99s = side.samples.flatMap(({ p99 }) => p99 ?? []);
    const verdicts = row.targets
      .filter((target) => target.side === side.name)
      .map((target) => judge(row, target, sides)?.text)
      .filter((text) => text !== undefined);
    lines.push(
      `| ${
        [
          side.name,
          short(median(values)),
          p99s.length > 0 ? short(median(p99s)) : "",
          `±${Math.round(noise(values) * 100)}%`,
          first && first.failure === undefined
            ? short(ratioOf(side, first))
            : "",
          verdicts.join("; "),
        ].join(" | ")
      } |`,
    );
  }
  return lines.join("\n") + "\n";
}

function loadAverage(): string {
  return Deno.loadavg().map((load) => load.toFixed(1)).join(" ");
}

async function versionOf(program: string): Promise<string> {
  try {
    const { stdout } = await new Deno.Command(program, { args: ["--version"] })
      .output();
    return new TextDecoder().decode(stdout).trim().split("\n")[0]!;
  } catch {
    return `no ${program}`;
  }
}

async function head(rivals: Installed): Promise<string> {
  const cpu = await Deno.readTextFile("/proc/cpuinfo").catch(() => "");
  const model = /model name\s*:\s*(.*)/.exec(cpu)?.[1] ?? Deno.build.arch;
  const versions = Object.entries(rivals.versions)
    .map(([name, version]) => `${name} ${version}`).join(", ");
  return [
    "# Results",
    "",
    "Written by `deno task bench`. Medians of interleaved rounds; a ratio is the",
    "median of the ratios within each round; half of all rounds lie within the noise.",
    "Names in brackets are what the platform itself does, as a limit.",
    "",
    `- ${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC`,
    `- ${navigator.hardwareConcurrency} cores, ${model}, ${Deno.build.os}`,
    `- Deno ${Deno.version.deno}, Node ${await versionOf(
      "node",
    )}, ${await versionOf(
      "python3",
    )}`,
    `- ${versions}`,
    ...rivals.missing.map((text) => `- missing: ${text}`),
    "",
  ].join("\n");
}

/** The codec is measured in one process: it has no sides that could wait. */
async function codec(rivals: Installed): Promise<string> {
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-lock",
      decodeURIComponent(new URL("./codec.ts", import.meta.url).pathname),
    ],
    env: { NO_COLOR: "1", BENCH_RIVALS_FOLDER: rivals.folder },
  }).output();
  const text = new TextDecoder().decode(success ? stdout : stderr);
  const title = "## codec: one value to bytes and back, µs";
  return `${title}\n\n\`\`\`text\n${text.trimEnd()}\n\`\`\`\n`;
}

/** Puts sections in place of those of the same name. */
function merged(before: string, sections: Map<string, string>): string {
  const old = before.split(/^(?=## )/m);
  const known = old.map((section) => {
    const name = /^## ([\w-]+)/.exec(section)?.[1] ?? "";
    const replacement = sections.get(name);
    sections.delete(name);
    return replacement === undefined ? section : `${replacement}\n`;
  });
  return [...known, ...[...sections.values()].map((text) => `${text}\n`)]
    .join("").trimEnd() + "\n";
}

async function main(): Promise<void> {
  const rivals = await install();
  await prepare(rivals);
  // Caches of their own: another version of Deno that runs meanwhile empties those
  // it finds, and a child then takes twice as long to start.
  Deno.env.set("DENO_DIR", `${rivals.folder}/deno`);
  for (const text of rivals.missing) console.log(`missing: ${text}`);
  const all = rowsFor(rivals);
  const names = [...all.map(({ name }) => name), CODEC];
  const unknown = Deno.args.filter((arg) => !names.includes(arg));
  if (unknown.length > 0) {
    console.error(`There is no ${unknown.join(", ")}: ${names.join(", ")}`);
    Deno.exit(2);
  }
  const isWanted = (name: string) =>
    Deno.args.length === 0 || Deno.args.includes(name);
  const top = await head(rivals);
  console.log(top);
  const sections = new Map<string, string>();
  const misses: string[] = [];
  for (const row of all) {
    if (!isWanted(row.name)) continue;
    const start = performance.now();
    const sides = await measure(row);
    const text = report(row, sides, (performance.now() - start) / 1000);
    console.log(text);
    sections.set(row.name, text);
    for (const target of row.targets) {
      const verdict = judge(row, target, sides);
      if (verdict && !verdict.isMet) {
        misses.push(`${row.name}, ${target.side}: ${verdict.text}`);
      }
    }
  }
  if (isWanted(CODEC)) {
    const text = await codec(rivals);
    console.log(text);
    sections.set(CODEC, text);
  }
  const summary = [
    "## summary: what has not been reached",
    "",
    ...(misses.length === 0
      ? ["Everything has been reached."]
      : misses.map((miss) => `- ${miss}`)),
    "",
  ].join("\n");
  console.log(summary);
  if (Deno.args.length === 0) {
    const body = [summary, ...sections.values()].join("\n");
    await Deno.writeTextFile(RESULTS, `${top}\n${body.trimEnd()}\n`);
  } else {
    const before = await Deno.readTextFile(RESULTS).catch(() => `${top}\n`);
    await Deno.writeTextFile(RESULTS, merged(before, sections));
  }
  // It is checked like any other file of the repository.
  await new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--quiet", decodeURIComponent(RESULTS.pathname)],
  }).output();
}

await main();
