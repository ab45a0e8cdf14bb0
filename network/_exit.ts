/**
 * What is to be done when this participant ends, as no file may be left behind.
 *
 * A program and a child process hear "unload". A thread hears it only if somebody
 * calls `Deno.exit()`, and Node's "exit" however it ends: so there both are heard.
 * Nothing is heard in a thread that is ended from outside.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { log } from "../_log.ts";

/** The part of Node's `process` that is used; making that takes 12 ms. */
interface NodeProcess {
  on(event: "exit", listener: () => void): void;
}

const duties = new Set<() => void>();
let isListening = false;

/**
 * Has something done at the end, at once: nothing can be awaited then.
 *
 * @param duty What to do.
 */
export function addDuty(duty: () => void): void {
  duties.add(duty);
  if (isListening) return;
  isListening = true;
  addEventListener("unload", doAll);
  if (!("DedicatedWorkerGlobalScope" in globalThis)) return;
  const { process } = globalThis as unknown as { process: NodeProcess };
  process.on("exit", doAll);
}

/**
 * Takes that back, as it has been done.
 *
 * @param duty What was to be done.
 */
export function removeDuty(duty: () => void): void {
  duties.delete(duty);
}

function doAll(): void {
  for (const duty of duties) {
    duties.delete(duty);
    try {
      duty();
    } catch (error) {
      // The others have to be done all the same.
      log.warn(() => `could not tidy up at the end: ${error}`);
    }
  }
}
