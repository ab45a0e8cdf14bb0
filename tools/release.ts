/**
 * Prepares a release: gives `deno.json` the new version, and the changes of
 * `CHANGELOG.md` that heading. It checks first that there is something to release and
 * that nothing else is going on in the tree, and says at the end what is left to do.
 * It publishes nothing, commits nothing, and pushes nothing.
 *
 * Run by `deno task release patch`, `minor`, `major` or a version.
 *
 * @module
 */
import { join } from "@std/path";

/** The files of a release. */
export interface ReleaseFiles {
  /** Text of `deno.json`. */
  readonly config: string;
  /** Text of `CHANGELOG.md`. */
  readonly changelog: string;
}

/** What becomes of them. */
export interface Release extends ReleaseFiles {
  /** The version it is. */
  readonly version: string;
}

type Version = readonly [major: number, minor: number, patch: number];

const VERSION_REGEXP = /^(\d+)\.(\d+)\.(\d+)$/;
const CONFIG_VERSION_REGEXP = /"version": "([^"]+)"/;
const UNRELEASED = "## Unreleased";
const HEADING_REGEXP = /^## (\d+\.\d+\.\d+) /gm;

/**
 * Makes a release of the files as they are.
 *
 * @param files Their texts.
 * @param wanted `patch`, `minor`, `major`, or a version.
 * @param date The day, as 2026-01-31.
 * @throws {Error} If that is not possible, saying why.
 */
export function prepareRelease(
  { config, changelog }: ReleaseFiles,
  wanted: string,
  date: string,
): Release {
  const now = config.match(CONFIG_VERSION_REGEXP)?.[1];
  const current = now === undefined ? null : parsed(now);
  if (!current) throw new Error(`Cannot release as "${now}" is no version`);
  const released = [...changelog.matchAll(HEADING_REGEXP)].map((match) =>
    match[1]!
  );
  const next = nextVersion(current, wanted);
  const version = next.join(".");
  for (const old of released) {
    if (compare(next, parsed(old)!) > 0) continue;
    throw new Error(
      `Cannot release ${version} as ${old} has been released already`,
    );
  }

  const start = changelog.indexOf(`${UNRELEASED}\n`);
  if (start < 0) {
    throw new Error(
      `Cannot release ${version} as CHANGELOG.md has no "${UNRELEASED}"`,
    );
  }
  const end = changelog.indexOf("\n## ", start + 1);
  const changes = changelog.slice(
    start + UNRELEASED.length,
    end < 0 ? undefined : end,
  );
  if (!/^- /m.test(changes)) {
    throw new Error(
      `Cannot release ${version} as CHANGELOG.md names no change: users would not know what it is for`,
    );
  }
  return {
    version,
    config: config.replace(
      CONFIG_VERSION_REGEXP,
      () => `"version": "${version}"`,
    ),
    changelog: changelog.replace(
      `${UNRELEASED}\n`,
      () => `${UNRELEASED}\n\n## ${version} (${date})\n`,
    ),
  };
}

function nextVersion(current: Version, wanted: string): Version {
  const [major, minor, patch] = current;
  switch (wanted) {
    case "major":
      return [major + 1, 0, 0];
    case "minor":
      return [major, minor + 1, 0];
    case "patch":
      return [major, minor, patch + 1];
  }
  const version = parsed(wanted);
  if (!version) {
    throw new Error(
      `Cannot release "${wanted}": say patch, minor, major or a version such as 1.2.3`,
    );
  }
  if (compare(version, current) < 0) {
    throw new Error(
      `Cannot release ${wanted} as it is below the version now, ${
        current.join(".")
      }`,
    );
  }
  return version;
}

function parsed(text: string): Version | null {
  const match = text.match(VERSION_REGEXP);
  if (!match) return null;
  return [Number(match[1]), Number(match[2]), Number(match[3])];
}

function compare(a: Version, b: Version): number {
  for (const [i, number] of a.entries()) {
    if (number !== b[i]) return number - b[i]!;
  }
  return 0;
}

/** Whether git knows of nothing that is not committed. */
async function isClean(root: string): Promise<boolean> {
  const { success, stdout } = await new Deno.Command("git", {
    args: ["status", "--porcelain"],
    cwd: root,
  }).output();
  return success && stdout.length === 0;
}

async function main(wanted: string): Promise<void> {
  const root = join(import.meta.dirname ?? ".", "..");
  if (!await isClean(root)) {
    throw new Error("Cannot release as there are changes: commit them first");
  }
  const paths = {
    config: join(root, "deno.json"),
    changelog: join(root, "CHANGELOG.md"),
  };
  const release = prepareRelease(
    {
      config: await Deno.readTextFile(paths.config),
      changelog: await Deno.readTextFile(paths.changelog),
    },
    wanted,
    new Date().toISOString().slice(0, 10),
  );
  await Deno.writeTextFile(paths.config, release.config);
  await Deno.writeTextFile(paths.changelog, release.changelog);
  const { version } = release;
  console.log(`Prepared ${version}. Nothing is published yet. Now:

  1. git diff                      Read it: is the changelog true?
  2. deno task ok                  The gate.
  3. deno task test:20             The tests under load.
  4. git commit -am "Release ${version}"
  5. git tag ${version}
  6. git push && git push --tags   And wait for the checks there.
  7. deno publish                  From a clone without "links": see tools/std/README.md.

To give it up: git checkout deno.json CHANGELOG.md`);
}

if (import.meta.main) {
  try {
    await main(Deno.args[0] ?? "");
  } catch (error) {
    console.error((error as Error).message);
    Deno.exit(1);
  }
}
