import { assert, assertEquals } from "@std/assert";
import { copyOf, freshBytes } from "../../memory/fresh.ts";
import { Arena } from "../../memory/mod.ts";

// Opens the C library, where there is one: then large pages are asked for.
Arena.create("spawn");

const MIB = 2 ** 20;

Deno.test("freshBytes() gives zeroed bytes in a buffer of just their length", () => {
  for (const byteLength of [0, 1, 4 * MIB - 1, 4 * MIB, 9 * MIB + 5]) {
    const bytes = freshBytes(byteLength);
    assertEquals(bytes.length, byteLength);
    assertEquals(bytes.buffer.byteLength, byteLength);
    assert(bytes.every((byte) => byte === 0));
    bytes.fill(7);
    assert(bytes.every((byte) => byte === 7));
  }
});

Deno.test("copyOf() copies a part of any buffer, whatever its length", () => {
  const source = Uint8Array.from({ length: 5 * MIB }, (_, i) => i % 251);
  for (const [from, to] of [[0, 0], [3, 10], [1, 5 * MIB - 1]] as const) {
    const part = source.subarray(from, to);
    const copy = copyOf(part);
    assertEquals(copy.buffer.byteLength, to - from);
    assert(copy.every((byte, i) => byte === part[i]));
    assert(copy.buffer !== source.buffer);
  }
});

Deno.test({
  name:
    "freshBytes() does without the permission for FFI, given up or never had",
  fn: async () => {
    assertEquals(freshBytes(5 * MIB).length, 5 * MIB);
    // Where the C library has never been opened.
    const url = new URL("../../memory/fresh.ts", import.meta.url).href;
    const code = `
      import { freshBytes } from ${JSON.stringify(url)};
      console.log(freshBytes(${5 * MIB}).length);
    `;
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-prompt",
        `data:text/javascript,${encodeURIComponent(code)}`,
      ],
    }).output();
    assertEquals(new TextDecoder().decode(stdout), `${5 * MIB}\n`);
  },
  permissions: { ffi: false, run: true },
});
