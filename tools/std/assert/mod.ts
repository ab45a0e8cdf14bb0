// Stands in for jsr:@std/assert where that registry is out of reach; see ../README.md.
// @ts-types="./types.d.ts"
export * from "npm:deno-std@1.4.0/assert/mod.js";
