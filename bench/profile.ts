/**
 * Where the time goes in the hot paths: takes a CPU profile of the program that
 * starts the children, for some rows of the comparison, and writes `PROFILES.md`
 * beside this file. (Children are not profiled: Deno writes a profile only for a
 * process that ends by itself.)
 *
 * ```sh
 * deno task bench:profile
 * deno task bench:profile serial queue
 * ```
 *
 * @module
 */
import { fromFileUrl } from "@std/path";
import { Side } from "./_side.ts";

/** The rows that are one hot path each. */
const ROWS = ["serial", "burst", "map", "queue", "pipe", "lock", "value"];
const METHODS = ["spawn", "worker"];
/** Rounds of each: the first have code that is not compiled yet. */
const ROUNDS = 20;
/** Microseconds between two samples. */
const INTERVAL_US = 200;
/** So many functions are shown of each. */
const SHOWN = 8;

const ROOT = new URL("../", import.meta.url).href;
const OURS = fromFileUrl(new URL("./sides/ours.ts", import.meta.url));
const REPORT = new URL("./PROFILES.md", import.meta.url);

/** The part of a V8 CPU profile that is read here. */
interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
    };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** Runs a row of our side and gives the profile of its program. */
async function profile(row: string, method: string): Promise<Profile> {
  const folder = await Deno.makeTempDir({ prefix: "profile_" });
  try {
    const side = new Side(row, {
      program: Deno.execPath(),
      args: [
        "run",
        "-A",
        "--no-check",
        "--cpu-prof",
        `--cpu-prof-dir=${folder}`,
        `--cpu-prof-interval=${INTERVAL_US}`,
        OURS,
        row,
        method,
      ],
    });
    await side.ready();
    for (let i = 0; i < ROUNDS; i++) await side.round();
    await side.end();
    if (side.failure !== undefined) {
      throw new Error(`Cannot profile ${row}, ${method}: ${side.failure}`);
    }
    const [entry] = [...Deno.readDirSync(folder)];
    return JSON.parse(await Deno.readTextFile(`${folder}/${entry!.name}`));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Sums up the time by some name of each sample; what is idle does not count. */
function timeBy(
  { nodes, samples, timeDeltas }: Profile,
  nameOf: (frame: Profile["nodes"][number]["callFrame"]) => string,
): [name: string, share: number][] {
  const names = new Map(
    nodes.filter(({ callFrame }) => callFrame.functionName !== "(idle)")
      .map(({ id, callFrame }) => [id, nameOf(callFrame)]),
  );
  const times = new Map<string, number>();
  let all = 0;
  for (const [i, id] of samples.entries()) {
    const name = names.get(id);
    if (name === undefined) continue;
    const time = timeDeltas[i]!;
    all += time;
    times.set(name, (times.get(name) ?? 0) + time);
  }
  return [...times].map(([name, time]): [string, number] => [name, time / all])
    .sort(([, a], [, b]) => b - a);
}

/** A file of this package by its path, and all else by what it is. */
function placeOf(url: string): string {
  if (url.startsWith(ROOT)) return url.slice(ROOT.length);
  return url === "" ? "" : "the runtime";
}

function report(row: string, method: string, profile: Profile): string {
  const percent = (share: number) => `${Math.round(share * 100)}%`;
  const rooms = timeBy(profile, ({ functionName, url }) => {
    const place = placeOf(url);
    return place === "" ? functionName || "(native)" : place.split("/")[0]!;
  });
  const functions = timeBy(
    profile,
    ({ functionName, url }) =>
      `\`${functionName || "(anonymous)"}\` ${placeOf(url)}`.trim(),
  ).slice(0, SHOWN);
  return [
    `## ${row}, ${method}`,
    "",
    rooms.filter(([, share]) => share >= 0.01)
      .map(([name, share]) => `${name} ${percent(share)}`).join(", ") + ".",
    "",
    "| share | function |",
    "| ----: | -------- |",
    ...functions.map(([name, share]) => `| ${percent(share)} | ${name} |`),
    "",
  ].join("\n");
}

if (import.meta.main) {
  const unknown = Deno.args.filter((arg) => !ROWS.includes(arg));
  if (unknown.length > 0) {
    console.error(`There is no ${unknown.join(", ")}: ${ROWS.join(", ")}`);
    Deno.exit(2);
  }
  const parts: string[] = [];
  for (const row of Deno.args.length > 0 ? Deno.args : ROWS) {
    for (const method of METHODS) {
      const text = report(row, method, await profile(row, method));
      console.log(text);
      parts.push(text);
    }
  }
  if (Deno.args.length === 0) {
    const head = `# Profiles

Written by \`deno task bench:profile\`: where the program that starts the children
spends its time, without what it is idle. Why the code at these places is as it
is, is said there, and in ARCHITECTURE under "Measured facts".

- ${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC
- Deno ${Deno.version.deno}
`;
    await Deno.writeTextFile(REPORT, `${head}\n${parts.join("\n")}`);
    await new Deno.Command(Deno.execPath(), {
      args: ["fmt", "--quiet", fromFileUrl(REPORT)],
    }).output();
  }
}
