import { assertEquals } from "@std/assert";
import { stay } from "../fixtures/targets.ts";
import { contract } from "../_support/contract.ts";
import { answerTwice } from "../fixtures/plain.ts";

contract(
  "Process hands a connection to a module that does not import the package",
  async (ctx) => {
    const [here, there] = ctx.Pipe<number>();
    const process = new ctx.Process({ target: answerTwice, args: [there] });
    process.start();
    there.close();
    await here.send(21);
    assertEquals(await here.recv({ timeout: 20_000 }), 42);
    await process.join();
    assertEquals(process.exitCode, 0);
    here.close();
  },
);

contract(
  "Process that is killed as it starts gives back what it was sent",
  async (ctx) => {
    const queue = new ctx.Queue<number>();
    const process = new ctx.Process({
      target: stay as (...args: unknown[]) => unknown,
      args: [queue, new ctx.Lock(), new ctx.Event()],
    });
    process.start();
    process.kill();
    await process.exited;
    queue.close();
  },
);
