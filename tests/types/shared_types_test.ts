/**
 * What of processes and of what they share compiles and what does not. Nothing of
 * this runs but the empty test: the compiler is what checks.
 *
 * @module
 */
import { Process, Queue } from "../../mod.ts";
import type { Connection, Context, JoinableQueue } from "../../mod.ts";
import { exactly } from "./_exactly.ts";

declare const context: Context;
declare function greet(name: string, times: number): void;
declare function none(): Promise<void>;
declare function serve(queue: Queue<string>): void;

/** Never called: processes. */
export function _processes(): void {
  const process = new Process({ target: greet, args: ["a", 1] });
  exactly<Process<[name: string, times: number]>>()(process);
  exactly<Promise<boolean>>()(process.join({ timeout: 5 }));
  exactly<Promise<number>>()(process.exited);
  exactly<number | null>()(process.exitCode);
  new Process({ target: none });
  new Process({ target: serve, args: [new Queue<string>()] });
  new context.Process({ target: greet, args: ["a", 1], daemon: true });
  const _any: Process[] = [process, new Process({ target: none })];

  // @ts-expect-error: wrong types of the arguments
  new Process({ target: greet, args: [1, "a"] });
  // @ts-expect-error: an argument is missing
  new Process({ target: greet, args: ["a"] });
  // @ts-expect-error: the same of a context's process
  new context.Process({ target: greet, args: ["a"] });
  // @ts-expect-error: a queue of something else
  new Process({ target: serve, args: [new Queue<number>()] });
  // @ts-expect-error: no such option
  new Process({ target: none, arguments: [] });
}

/** Never called: queues and pipes. */
export async function _messages(): Promise<void> {
  const queue = new Queue<string>(5);
  exactly<string>()(await queue.get({ timeout: 5 }));
  exactly<string>()(queue.getNowait());
  exactly<string>()(queue.getSync());
  await queue.put("a", { block: false });
  queue.putNowait("a");
  for await (const item of queue) exactly<string>()(item);
  const bound = new context.Queue<number>();
  exactly<number>()(await bound.get());
  const joinable: JoinableQueue<number> = new context.JoinableQueue<number>();
  exactly<number>()(await joinable.get());
  exactly<void>()(joinable.taskDone());
  exactly<number>()(await new context.SimpleQueue<number>().get());
  const [a, b] = context.Pipe<{ id: number }>();
  exactly<Connection<{ id: number }>>()(a);
  exactly<{ id: number }>()(await b.recv());
  await a.send({ id: 1 });

  // @ts-expect-error: wrong type of the item
  await queue.put(1);
  // @ts-expect-error: wrong type of the item
  queue.putNowait(1);
  // @ts-expect-error: wrong type of the item
  await joinable.put("a");
  // @ts-expect-error: wrong type of the message
  await a.send({ id: "1" });
}

Deno.test("the types of what is shared let through what works, and only that", () => {
  // See above: this file would not compile.
});
