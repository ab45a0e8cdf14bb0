import { assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl, join } from "@std/path";

const CONFIG = fromFileUrl(import.meta.resolve("../../deno.json"));

// Deno has its sanitizers off unless the configuration says otherwise, and it
// does not complain about a key that it does not know. So it is tried here.
for (
  const [leak, body] of [
    ["an interval", "setInterval(() => {}, 1000);"],
    ["a file", "Deno.openSync(new URL(import.meta.url));"],
  ] as const
) {
  Deno.test(`deno.json makes a test fail that leaks ${leak}`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      const file = join(folder, "leak_test.ts");
      await Deno.writeTextFile(file, `Deno.test("leak", () => { ${body} });`);
      const { code, stdout } = await new Deno.Command(Deno.execPath(), {
        args: ["test", "--no-check", "--no-lock", "-R", "-c", CONFIG, file],
        env: { NO_COLOR: "1" },
      }).output();

      assertMatch(new TextDecoder().decode(stdout), /Leaks detected/);
      assertEquals(code, 1);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}
