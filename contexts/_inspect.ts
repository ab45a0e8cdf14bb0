/**
 * Which module a function comes from, according to V8's inspector.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { builtin } from "./_node.ts";

/** Under this name the function is handed to the inspector. */
const HANDOVER = Symbol.for("multiprocessing.inspected");

interface Property {
  readonly name: string;
  readonly value?: { readonly value?: { readonly scriptId?: string } };
}

/**
 * Finds the URL of the module that contains a function. Needs
 * `--allow-sys=inspector`.
 *
 * @param fn The function.
 */
// deno-lint-ignore ban-types -- any function
export function moduleOf(fn: Function): string | undefined {
  const { Session } = builtin("node:inspector");
  const session = new Session();
  const urls = new Map<string, string>();
  let found: string | undefined;
  const holder = globalThis as { [HANDOVER]?: unknown };
  try {
    session.connect();
    session.on("Debugger.scriptParsed", ({ params }) => {
      urls.set(params.scriptId, params.url);
    });
    session.post("Debugger.enable");
    holder[HANDOVER] = fn;
    const expression = `globalThis[Symbol.for("${HANDOVER.description}")]`;
    session.post("Runtime.evaluate", { expression }, (error, evaluated) => {
      const objectId = evaluated?.result?.objectId;
      if (error || !objectId) return;
      session.post("Runtime.getProperties", { objectId }, (error, answer) => {
        if (error) return;
        const properties = (answer as { internalProperties?: Property[] })
          .internalProperties ?? [];
        const location = properties.find(({ name }) =>
          name === "[[FunctionLocation]]"
        );
        found = urls.get(location?.value?.value?.scriptId ?? "");
      });
    });
  } catch {
    found = undefined; // the inspector is not to be had: not an answer
  } finally {
    delete holder[HANDOVER];
    session.disconnect();
  }
  return found;
}
