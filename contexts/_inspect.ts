/**
 * Which module a function comes from, according to V8's inspector.
 *
 * The question has to be answered before this returns, as a start or a call refuses
 * at once what cannot be sent. Deno has the answers at once, too, but hands them
 * out at `process.nextTick()`: so for as long as the question takes, what is put
 * off until then is done here and now. Nothing else is put off meanwhile, as none
 * of the user's code runs.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { builtin, nodeProcess } from "./_node.ts";

/** How long to wait for an answer, in milliseconds: it takes a few. */
const ANSWER_MS = 100;
/** Under this name the function is handed to the inspector. */
const HANDOVER = Symbol.for("multiprocessing.inspected");

interface Property {
  readonly name: string;
  readonly value?: { readonly value?: { readonly scriptId?: string } };
}

/**
 * Finds the URL of the module that contains a function. Needs `--allow-sys`.
 *
 * @param fn The function.
 */
// deno-lint-ignore ban-types -- any function
export function moduleOf(fn: Function): string | undefined {
  return withoutDelay((doDelayed) => {
    const { Session } = builtin("node:inspector");
    const session = new Session();
    const urls = new Map<string, string>();
    let found: string | undefined;
    let isAnswered = false;
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
        isAnswered = !objectId;
        if (error || !objectId) return;
        session.post("Runtime.getProperties", { objectId }, (error, answer) => {
          isAnswered = true;
          if (error) return;
          const properties = (answer as { internalProperties?: Property[] })
            .internalProperties ?? [];
          const location = properties.find(({ name }) =>
            name === "[[FunctionLocation]]"
          );
          found = urls.get(location?.value?.value?.scriptId ?? "");
        });
      });
      const until = performance.now() + ANSWER_MS;
      do doDelayed(); while (!isAnswered && performance.now() < until);
    } catch {
      found = undefined; // the inspector is not to be had: not an answer
    } finally {
      delete holder[HANDOVER];
      session.disconnect();
    }
    return found;
  });
}

/** Does what is put off until the next tick when it is told to. */
function withoutDelay<T>(act: (doDelayed: () => void) => T): T {
  const process = nodeProcess();
  const { nextTick } = process;
  const delayed: (() => void)[] = [];
  const doDelayed = () => {
    while (delayed.length > 0) delayed.shift()!();
  };
  process.nextTick = (run, ...args) => void delayed.push(() => run(...args));
  try {
    return act(doDelayed);
  } finally {
    process.nextTick = nextTick;
    for (const run of delayed) nextTick(run);
  }
}
