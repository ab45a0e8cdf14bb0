import { assertEquals, assertThrows } from "@std/assert";
import { prepareRelease } from "../../tools/release.ts";

const CONFIG = `{
  "name": "@scope/name",
  "version": "1.2.3",
  "imports": { "x": "jsr:x@^1" }
}
`;

const CHANGELOG = `# Changelog

## Unreleased

- \`new()\` does something, $& and all.

## 1.2.3 (2026-01-01)

- Something old.
`;

function release(wanted: string, files = {}): [string, string, string] {
  const { version, config, changelog } = prepareRelease(
    { config: CONFIG, changelog: CHANGELOG, ...files },
    wanted,
    "2026-02-03",
  );
  return [version, config, changelog];
}

Deno.test("prepareRelease() changes the version and the heading, and nothing else", () => {
  const [version, config, changelog] = release("minor");
  assertEquals(version, "1.3.0");
  assertEquals(config, CONFIG.replace("1.2.3", "1.3.0"));
  assertEquals(
    changelog,
    `# Changelog

## Unreleased

## 1.3.0 (2026-02-03)

- \`new()\` does something, $& and all.

## 1.2.3 (2026-01-01)

- Something old.
`,
  );
});

for (
  const [wanted, version] of [
    ["patch", "1.2.4"],
    ["minor", "1.3.0"],
    ["major", "2.0.0"],
    ["1.2.10", "1.2.10"],
    ["10.0.0", "10.0.0"],
  ] as const
) {
  Deno.test(`prepareRelease() of ${wanted} after 1.2.3 is ${version}`, () => {
    assertEquals(release(wanted)[0], version);
  });
}

Deno.test("prepareRelease() takes the version of deno.json if it was never released", () => {
  const changelog = "# Changelog\n\n## Unreleased\n\n- The first.\n";
  assertEquals(
    release("1.2.3", { changelog })[2],
    "# Changelog\n\n## Unreleased\n\n## 1.2.3 (2026-02-03)\n\n- The first.\n",
  );
});

for (
  const [what, wanted, files, message] of [
    ["no version", "next", {}, "say patch, minor, major or a version"],
    ["nothing", "", {}, "say patch, minor, major or a version"],
    ["the same again", "1.2.3", {}, "1.2.3 has been released already"],
    ["less", "1.1.9", {}, "below the version now, 1.2.3"],
    [
      "no list of changes",
      "patch",
      { changelog: "# Changelog\n" },
      'has no "## Unreleased"',
    ],
    [
      "no changes",
      "patch",
      { changelog: "## Unreleased\n\n## 1.2.3 (2026-01-01)\n\n- Old.\n" },
      "names no change",
    ],
    [
      "what deno.json does not say",
      "patch",
      { config: '{ "version": "one" }' },
      '"one" is no version',
    ],
  ] as const
) {
  Deno.test(`prepareRelease() refuses ${what}, and says why`, () => {
    assertThrows(() => release(wanted, files), Error, message);
  });
}

Deno.test("deno task release refuses a tree with changes, and touches nothing", async () => {
  // A copy with a change in it, so that this says the same in any tree.
  const folder = await Deno.makeTempDir();
  const git = (...args: string[]) =>
    new Deno.Command("git", {
      args: ["-c", "user.name=t", "-c", "user.email=t@t", ...args],
      cwd: folder,
    }).output();
  const release = async (...args: string[]) => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--quiet",
        "--no-lock",
        "--config",
        `${folder}/deno.json`,
        `${folder}/tools/release.ts`,
        ...args,
      ],
      env: { NO_COLOR: "1" },
    }).output();
    const text = new TextDecoder();
    return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
  };
  try {
    const std = new URL("../../tools/std/path", import.meta.url).pathname;
    const config = CONFIG.replace(
      '"imports": { "x": "jsr:x@^1" }',
      `"imports": { "@std/path": "jsr:@std/path@^1" }, "links": ["${std}"]`,
    );
    await Deno.mkdir(`${folder}/tools`);
    await Deno.copyFile(
      new URL("../../tools/release.ts", import.meta.url),
      `${folder}/tools/release.ts`,
    );
    await Deno.writeTextFile(`${folder}/deno.json`, config);
    await Deno.writeTextFile(`${folder}/CHANGELOG.md`, CHANGELOG);
    await git("init", "--quiet");

    const refused = await release("patch");
    assertEquals(refused.code, 1);
    assertEquals(
      refused.stderr,
      "Cannot release as there are changes: commit them first\n",
    );
    assertEquals(await Deno.readTextFile(`${folder}/CHANGELOG.md`), CHANGELOG);

    await git("add", "--all");
    await git("commit", "--quiet", "--message", "x");
    const done = await release("patch");
    assertEquals([done.code, done.stderr], [0, ""]);
    assertEquals(
      done.stdout.split("\n")[0],
      "Prepared 1.2.4. Nothing is published yet. Now:",
    );
    assertEquals(
      await Deno.readTextFile(`${folder}/deno.json`),
      config.replace("1.2.3", "1.2.4"),
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
