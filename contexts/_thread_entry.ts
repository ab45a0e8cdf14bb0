/**
 * Modules of this package in a form that a Worker takes as what it runs.
 *
 * Runs in the parent.
 *
 * @module
 */

/**
 * The URL with which to start a Worker.
 *
 * @param url A module that exports `main()`, and calls it if it is the main one.
 */
export function threadEntry(url: URL): URL {
  if (url.protocol === "file:") return url;
  // Only file: and data: are taken (denoland/deno #31612).
  const code = `import { main } from ${JSON.stringify(url.href)}; main();`;
  return new URL(`data:text/javascript,${encodeURIComponent(code)}`);
}
