/**
 * Modules of this package in a form that a Worker takes as what it runs.
 *
 * **What a thread begins with is type-checked** wherever its program is (`deno test`,
 * `deno run --check`): in each thread anew, which takes a processor for seconds, until
 * Deno has noted the first of them as right. What is imported under a name that is
 * only known when it runs is not: so a thread begins with lines of JavaScript that
 * import the module in this way. That is also how a module from a registry comes to
 * be one's beginning: Deno takes none but `file:` and `data:` there (denoland/deno
 * #31612).
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
  const name = JSON.stringify(url.href);
  // Nothing is checked in a compiled program, and all it has is known beforehand.
  if (Deno.build.standalone) {
    return url.protocol === "file:"
      ? url
      : scriptOf(`import { main } from ${name}; main();`);
  }
  return scriptOf(
    `const name = ${name}; const { main } = await import(name); main();`,
  );
}

function scriptOf(code: string): URL {
  return new URL(`data:text/javascript,${encodeURIComponent(code)}`);
}
