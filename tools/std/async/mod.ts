// Stands in for jsr:@std/async where that registry is out of reach; see ../README.md.
// @ts-types="./types.d.ts"
export * from "./npm.js";
