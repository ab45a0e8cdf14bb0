import { assertEquals } from "@std/assert";
import { hmacMd5, md5 } from "../../network/_md5.ts";
import { ascii } from "./_peers.ts";

const REPEATED =
  "12345678901234567890123456789012345678901234567890123456789012345678901234567890";

/** Sum of the first words of the digests of lengths 0 to 199, by CPython's hashlib. */
const LENGTHS_SUM = 2673716136;

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(
    "",
  );
}

for (
  const [message, digest] of [
    ["", "d41d8cd98f00b204e9800998ecf8427e"],
    ["a", "0cc175b9c0f1b6a831c399e269772661"],
    ["abc", "900150983cd24fb0d6963f7d28e17f72"],
    ["message digest", "f96b697d7cb7938d525a2f31aaf161d0"],
    ["abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"],
    [
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
      "d174ab98d277d9f5a5611c2c9f419d9f",
    ],
    [REPEATED, "57edf4a22be3c955ac49da2e2107b67a"],
  ] as const
) {
  Deno.test(`md5() digests "${message.slice(0, 20)}" as in RFC 1321, A.5`, () => {
    assertEquals(hex(md5(ascii(message))), digest);
  });
}

for (
  const [name, key, message, digest] of [
    [
      "RFC 2104, first",
      new Uint8Array(16).fill(0x0b),
      ascii("Hi There"),
      "9294727a3638bb1c13f48ef8158bfc9d",
    ],
    [
      "RFC 2104, second",
      ascii("Jefe"),
      ascii("what do ya want for nothing?"),
      "750c783e6ab0b503eaa86e310a5db738",
    ],
    [
      "RFC 2104, third",
      new Uint8Array(16).fill(0xaa),
      new Uint8Array(50).fill(0xdd),
      "56be34521d144c88dbb8c733f0e8b3f6",
    ],
    [
      "RFC 2202, a key longer than a block",
      new Uint8Array(80).fill(0xaa),
      ascii("Test Using Larger Than Block-Size Key - Hash Key First"),
      "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd",
    ],
  ] as const
) {
  Deno.test(`hmacMd5() gives the digest of ${name}`, () => {
    assertEquals(hex(hmacMd5(key, message)), digest);
  });
}

Deno.test("md5() takes every length around a block", () => {
  let sum = 0;
  for (let length = 0; length < 200; length++) {
    const digest = md5(new Uint8Array(length).fill(length));
    sum = (sum + new DataView(digest.buffer).getUint32(0)) >>> 0;
  }
  assertEquals(sum, LENGTHS_SUM);
});
