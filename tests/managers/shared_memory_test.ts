import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ProcessError } from "../../mod.ts";
import type { Context } from "../../mod.ts";
import { contract, once } from "../_support/contract.ts";
import { until } from "../_support/gate.ts";
import { isRunning } from "../_support/proc.ts";
import { CONFIG, runProgram } from "../_support/program.ts";
import { Mailbox } from "../_support/meeting.ts";
import { makeMemory } from "../fixtures/managers.ts";
import { inChild, LEARN_MS, timeOf } from "./_managed.ts";

const FRONT_DOOR = import.meta.resolve("../../mod.ts");

/** Makes five lists and six segments; gives their names. */
async function fill(
  manager: InstanceType<Context["SharedMemoryManager"]>,
  ctx: Context,
): Promise<string[]> {
  const names: string[] = [];
  for (let i = 0; i < 5; i++) {
    const list = await manager.ShareableList([0, 1, 2, 3, 4]);
    const other = new ctx.ShareableList(undefined, { name: list.shm.name });
    assertEquals(other.length, 5);
    other.shm.close();
    names.push(list.shm.name);
    list.shm.close();
  }
  for (let i = 0; i < 6; i++) {
    using memory = await manager.SharedMemory(32);
    using other = new ctx.SharedMemory({ name: memory.name });
    assert(other.buf!.byteLength >= 32);
    names.push(memory.name);
  }
  return names;
}

function assertGone(names: readonly string[], ctx: Context): void {
  for (const name of names) {
    assertThrows(() => new ctx.SharedMemory({ name }), Deno.errors.NotFound);
  }
}

contract(
  "SHM-09 what a manager of shared memory has made goes with it",
  async (ctx) => {
    const manager = new ctx.SharedMemoryManager();
    await assertRejects(
      () => manager.SharedMemory(32),
      ProcessError,
      "address type of None unrecognized",
    );
    await assertRejects(() => manager.ShareableList([1]), ProcessError);
    await manager.start();
    const names = await fill(manager, ctx);
    await manager.shutdown();
    assertGone(names, ctx);
    await assertRejects(() => manager.SharedMemory(32), ProcessError);
  },
);

contract("SHM-09 await using does the same", async (ctx) => {
  let names: string[];
  {
    await using manager = new ctx.SharedMemoryManager();
    await manager.start();
    names = await fill(manager, ctx);
  }
  assertGone(names, ctx);
});

contract(
  "SHM-09 what others have made through it goes with it, too",
  async (ctx) => {
    const manager = new ctx.SharedMemoryManager();
    await manager.start();
    const other = new ctx.SharedMemoryManager({ address: manager.address });
    await other.connect();
    const memory = await other.SharedMemory(32);
    memory.close();
    await other.shutdown();
    new ctx.SharedMemory({ name: memory.name }).close();
    await manager.shutdown();
    assertGone([memory.name], ctx);
  },
);

contract(
  "SHM-09 what a child has made through it outlives the child",
  async (ctx) => {
    const manager = new ctx.SharedMemoryManager();
    await manager.start();
    const names = Mailbox.in<string>(ctx);
    await inChild(
      ctx,
      makeMemory,
      ctx.getStartMethod(),
      manager.address!,
      names,
    );
    const name = await names.take("the name of the memory");
    {
      using memory = new ctx.SharedMemory({ name });
      assertEquals(memory.buf![0], 7);
    }
    await manager.shutdown();
    assertGone([name], ctx);
  },
);

contract("SHM-09 it goes also if the server was killed", async (ctx) => {
  const manager = new ctx.SharedMemoryManager();
  await manager.start();
  const memory = await manager.SharedMemory(32);
  memory.close();
  manager.process!.kill();
  await manager.process!.join();
  const ms = await timeOf(() => manager.shutdown());
  assert(ms < LEARN_MS, `it took ${ms} ms`);
  assertGone([memory.name], ctx);
});

contract("SHM-09 what was unlinked before is no error", async (ctx) => {
  await using manager = new ctx.SharedMemoryManager();
  await manager.start();
  using memory = await manager.SharedMemory(32);
  memory.unlink();
  await assertRejects(() => manager.SharedMemory(0), RangeError);
});

contract(
  "SHM-07 Ctrl-C does not end the server, nor change what it does here",
  async (ctx) => {
    await using manager = new ctx.SharedMemoryManager();
    await manager.start();
    Deno.kill(manager.process!.pid!, "SIGINT");
    using memory = await manager.SharedMemory(8);
    assertEquals(memory.buf!.byteLength >= 8, true);
  },
  { methods: ["spawn"] },
);

once(
  "SHM-07 a program that Ctrl-C ends is ended by it, with its server",
  async () => {
    const { code, stderr, left } = await runProgram(
      `
      import { Manager } from ${JSON.stringify(FRONT_DOOR)};
      const manager = await Manager();
      Deno.kill(Deno.pid, "SIGINT");
      await new Promise(() => setTimeout(() => {}, 60_000));
    `,
      { config: CONFIG },
    );
    assertEquals([code, stderr], [130, ""]);
    // The kernel ends it once its parent is gone.
    const server = () => left.some(({ pid }) => isRunning(pid));
    await until(() => !server(), "the server has ended", LEARN_MS);
  },
);

once(
  "SHM-08 a program with a manager of shared memory says nothing on stderr",
  async () => {
    const end = await runProgram(
      `
      import { SharedMemoryManager } from ${JSON.stringify(FRONT_DOOR)};
      const manager = new SharedMemoryManager();
      await manager.start();
      const list = await manager.ShareableList([0, 1, 2]);
      console.log(list.length);
      await manager.shutdown();
    `,
      { config: CONFIG },
    );
    assertEquals([end.code, end.stdout, end.stderr, end.left], [
      0,
      "3\n",
      "",
      [],
    ]);
  },
);

once(
  "SHM-08 a program that forgets to shut its manager down leaves nothing",
  async () => {
    const end = await runProgram(
      `
      import { SharedMemoryManager } from ${JSON.stringify(FRONT_DOOR)};
      const manager = new SharedMemoryManager();
      await manager.start();
      const memory = await manager.SharedMemory(64);
      console.log(memory.name);
    `,
      { config: CONFIG },
    );
    assertEquals([end.code, end.stderr, end.left], [0, "", []]);
    const name = end.stdout.trim();
    assertThrows(() => Deno.statSync(`/dev/shm/${name}`), Deno.errors.NotFound);
  },
);
