// File by file, as the mod.js of this version of deno-std does not load: its
// channel.js looks for a folder that the package does not have.
export * from "npm:deno-std@1.4.0/async/abortable.js";
export * from "npm:deno-std@1.4.0/async/deadline.js";
export * from "npm:deno-std@1.4.0/async/debounce.js";
export * from "npm:deno-std@1.4.0/async/delay.js";
export * from "npm:deno-std@1.4.0/async/mux_async_iterator.js";
export * from "npm:deno-std@1.4.0/async/pool.js";
export * from "npm:deno-std@1.4.0/async/retry.js";
export * from "npm:deno-std@1.4.0/async/tee.js";
