/**
 * The rivals: installed by the benchmark itself, in a folder far from the package,
 * so that none of them can become a dependency of it by accident.
 *
 * @module
 */

/** The versions compared with. */
export const RIVALS: Readonly<Record<string, string>> = {
  piscina: "5.3.2",
  tinypool: "2.2.0",
  workerpool: "10.0.3",
  poolifier: "5.3.2",
  msgpackr: "2.1.4",
};
/** Not in every registry; without it a checkout will do, see {@linkcode install}. */
const KNITTING = "0.1.61";

/** What is there. */
export interface Installed {
  readonly folder: string;
  /** Versions by name, of what could be installed. */
  readonly versions: Record<string, string>;
  /** The module of `knitting`, if there is one. */
  readonly knitting: string | undefined;
  /** What is missing, and why. */
  readonly missing: string[];
}

/** Where the rivals are kept: `BENCH_RIVALS`, or in the user's cache. */
function rivalsFolder(): string {
  const given = Deno.env.get("BENCH_RIVALS");
  if (given) return given;
  const cache = Deno.env.get("XDG_CACHE_HOME") ??
    `${Deno.env.get("HOME") ?? Deno.env.get("USERPROFILE") ?? "."}/.cache`;
  return `${cache}/deno-multiprocessing-bench`;
}

/**
 * Installs what is not there yet.
 *
 * `knitting` is written in TypeScript for Deno, and a checkout of its sources in
 * the folder `knitting` of the rivals' folder is used before the package.
 */
export async function install(): Promise<Installed> {
  const folder = rivalsFolder();
  await Deno.mkdir(folder, { recursive: true });
  const versions: Record<string, string> = {};
  const missing: string[] = [];
  const isThere = async ([name, version]: readonly string[]) =>
    await versionAt(`${folder}/node_modules/${name}`) === version;
  const wanted = Object.entries(RIVALS);
  let reason: string | undefined;
  if (!(await Promise.all(wanted.map(isThere))).every(Boolean)) {
    const manifest = { name: "rivals", private: true, type: "module" };
    await Deno.writeTextFile(
      `${folder}/package.json`,
      JSON.stringify({ ...manifest, dependencies: RIVALS }),
    );
    reason = await npmInstall(folder);
  }
  for (const rival of wanted) {
    const [name, version] = rival;
    if (await isThere(rival)) versions[name] = version;
    else missing.push(`${name} ${version}: ${reason ?? "npm left it out"}`);
  }
  const knitting = await findKnitting(folder);
  if (knitting) versions["knitting"] = knitting.version;
  else {
    missing.push(
      `knitting ${KNITTING}: not in the registry; put a checkout of it at ${folder}/knitting`,
    );
  }
  return { folder, versions, missing, knitting: knitting?.module };
}

/** Returns what went wrong. */
async function npmInstall(
  folder: string,
  ...packages: string[]
): Promise<string | undefined> {
  try {
    const { success, stderr } = await new Deno.Command("npm", {
      args: [
        "install",
        "--no-save",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        ...packages,
      ],
      cwd: folder,
      stdout: "null",
      stderr: "piped",
    }).output();
    if (success) return undefined;
    return new TextDecoder().decode(stderr).split("\n").slice(0, 2).join(" ");
  } catch (error) {
    return `npm cannot be run: ${error}`;
  }
}

async function findKnitting(
  folder: string,
): Promise<{ module: string; version: string } | undefined> {
  const checkout = `${folder}/knitting`;
  const version = await versionAt(checkout);
  if (version) return { module: `${checkout}/knitting.ts`, version };
  const packaged = `${folder}/node_modules/knitting`;
  if (!await versionAt(packaged)) {
    await npmInstall(folder, `knitting@${KNITTING}`);
  }
  const found = await versionAt(packaged);
  return found
    ? { module: `${packaged}/knitting.js`, version: found }
    : undefined;
}

async function versionAt(folder: string): Promise<string | undefined> {
  try {
    const text = await Deno.readTextFile(`${folder}/package.json`);
    return (JSON.parse(text) as { version?: string }).version;
  } catch {
    return undefined; // it is not there
  }
}
