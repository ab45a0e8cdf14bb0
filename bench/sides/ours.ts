/**
 * Our side of each row: `ours.ts ROW METHOD [SIZE]`.
 *
 * @module
 */
import { getContext } from "../../mod.ts";
import type { Context, StartMethod } from "../../mod.ts";
import {
  burstRate,
  eachTimed,
  eachTimedSync,
  mean,
  rate,
  takeTurns,
} from "./_turns.mjs";
import {
  calculate,
  echo,
  echoSync,
  nothing,
  produce,
  same,
  square,
  total,
} from "./tasks.ts";
import {
  BURST,
  BYTES_64_MB,
  CPU_ITEMS,
  cpuSeconds,
  MAP_ITEMS,
  memoryMb,
  QUEUE_ITEMS,
  ROUND_TRIPS,
  SERIAL_CALLS,
} from "./_sizes.ts";
import type { Sample } from "../_side.ts";

interface Turns {
  round(): Sample | Promise<Sample>;
  end?(): unknown;
}

const ROWS: Record<string, (ctx: Context, size: number) => Turns> = {
  serial(ctx) {
    const pool = new ctx.Pool(1);
    return {
      round: () =>
        eachTimed(SERIAL_CALLS, (i: number) => pool.apply(square, [i])),
      end: () => pool.terminate(),
    };
  },

  burst(ctx, size) {
    const pool = new ctx.Pool(2);
    const count = size || BURST;
    return {
      round: () => burstRate(count, (i: number) => pool.apply(square, [i])),
      end: () => pool.terminate(),
    };
  },

  map(ctx) {
    const pool = new ctx.Pool(2);
    const items = Array.from({ length: MAP_ITEMS }, (_, i) => i);
    return {
      round: () => rate(MAP_ITEMS, () => pool.map(square, items)),
      end: () => pool.terminate(),
    };
  },

  queue(ctx) {
    const orders = new ctx.Queue<number>();
    const items = new ctx.Queue<unknown>();
    const child = new ctx.Process({ target: produce, args: [orders, items] });
    child.start();
    return {
      round: () => {
        orders.putSync(QUEUE_ITEMS);
        return rate(QUEUE_ITEMS, async () => {
          for (let i = 0; i < QUEUE_ITEMS; i++) await items.get();
        });
      },
      end: async () => {
        orders.putSync(0);
        await child.join();
      },
    };
  },

  pipe(ctx) {
    const [here, there] = ctx.Pipe<unknown>();
    const child = new ctx.Process({ target: echo, args: [there] });
    child.start();
    return {
      round: () =>
        eachTimed(ROUND_TRIPS, async (i: number) => {
          await here.send(i);
          await here.recv();
        }),
      end: async () => {
        await here.send(null);
        await child.join();
      },
    };
  },

  "pipe-sync"(ctx) {
    const [here, there] = ctx.Pipe<unknown>();
    const child = new ctx.Process({ target: echoSync, args: [there] });
    child.start();
    return {
      round: () =>
        eachTimedSync(ROUND_TRIPS, (i: number) => {
          here.sendSync(i);
          here.recvSync();
        }),
      end: async () => {
        here.sendSync(null);
        await child.join();
      },
    };
  },

  bulk(ctx) {
    const [here, there] = ctx.Pipe<unknown>();
    const child = new ctx.Process({ target: echo, args: [there] });
    child.start();
    const array = new Float64Array(BYTES_64_MB / 8).fill(1.5);
    return {
      round: async () => {
        const start = performance.now();
        await here.send(array);
        const back = await here.recv() as Float64Array;
        const value = performance.now() - start;
        if (back.length !== array.length) throw new Error("It came back short");
        return { value };
      },
      end: async () => {
        await here.send(null);
        await child.join();
      },
    };
  },

  "bulk-shared"(ctx) {
    const [here, there] = ctx.Pipe<number>();
    const memory = new ctx.SharedMemory({ create: true, size: BYTES_64_MB });
    const child = new ctx.Process({ target: total, args: [memory, there] });
    child.start();
    return {
      round: async () => {
        const start = performance.now();
        await here.send(BYTES_64_MB / 8);
        await here.recv();
        return { value: performance.now() - start };
      },
      end: async () => {
        await here.send(0);
        await child.join();
        memory.unlink();
      },
    };
  },

  start(ctx) {
    return {
      round: async () => {
        const start = performance.now();
        const child = new ctx.Process({ target: nothing });
        child.start();
        await child.join();
        return { value: performance.now() - start };
      },
    };
  },

  "pool-start"(ctx) {
    return {
      round: async () => {
        const start = performance.now();
        const pool = new ctx.Pool(2);
        await pool.apply(square, [2]);
        const value = performance.now() - start;
        await pool.terminate();
        return { value };
      },
    };
  },

  lock(ctx) {
    const lock = new ctx.Lock();
    return {
      round: () =>
        mean(200_000, () => {
          for (let i = 0; i < 200_000; i++) {
            lock.acquireSync();
            lock.release();
          }
        }),
    };
  },

  value(ctx) {
    const value = new ctx.Value("i", 0);
    return {
      round: () =>
        mean(200_000, () => {
          for (let i = 0; i < 200_000; i++) value.add(1);
        }),
    };
  },

  "value-locked"(ctx) {
    const value = new ctx.Value("i", 0);
    const lock = value.getLock();
    return {
      round: () =>
        mean(100_000, () => {
          for (let i = 0; i < 100_000; i++) {
            lock.acquireSync();
            value.value++;
            lock.release();
          }
        }),
    };
  },

  // Against one worker, not against a loop right here: V8 inlines the calculation
  // into such a loop and may leave it slow for good, up to five times.
  cpu(ctx) {
    const one = new ctx.Pool(1);
    const two = new ctx.Pool(2);
    const items = Array.from({ length: CPU_ITEMS }, (_, i) => i);
    return {
      round: async () => {
        const alone = performance.now();
        await one.map(calculate, items);
        const start = performance.now();
        await two.map(calculate, items);
        return { value: (start - alone) / (performance.now() - start) };
      },
      end: () => Promise.all([one.terminate(), two.terminate()]),
    };
  },

  // ---- how it grows -----------------------------------------------------------

  tasks(ctx, size) {
    const pool = new ctx.Pool(2);
    // All but the largest are repeated: how a single burst meets the collector is
    // luck.
    const times = Math.max(1, Math.floor(400_000 / size));
    const burst = async (count: number) => {
      const results = [];
      for (let i = 0; i < count; i++) results.push(pool.apply(square, [i]));
      await Promise.all(results);
    };
    return {
      round: async () => {
        // Not timed, as in `burstRate()`: the first of many short bursts would do
        // it for the others, but not the only one.
        await burst(10_000);
        return await mean(size * times, async () => {
          for (let time = 0; time < times; time++) await burst(size);
        });
      },
      end: () => pool.terminate(),
    };
  },

  workers(ctx, size) {
    const pool = new ctx.Pool(size);
    const ready = pool.ready;
    return {
      round: async () => {
        await ready;
        return mean(20_000, async () => {
          const results = [];
          for (let i = 0; i < 20_000; i++) {
            results.push(pool.apply(square, [i]));
          }
          await Promise.all(results);
        });
      },
      end: () => pool.terminate(),
    };
  },

  payload(ctx, size) {
    const pool = new ctx.Pool(1);
    const bytes = new Uint8Array(size).fill(7);
    const count = Math.max(3, Math.min(2000, Math.floor(2e8 / (size + 1e5))));
    return {
      round: () => eachTimed(count, () => pool.apply(same, [bytes])),
      end: () => pool.terminate(),
    };
  },

  "memory-idle"(ctx, isShared) {
    const COUNT = 8;
    const kind = isShared ? "Pss" : "Rss";
    let before = 0;
    let pool: ReturnType<typeof make> | undefined;
    const make = () => new ctx.Pool(COUNT);
    return {
      round: async () => {
        await pool?.terminate();
        before = memoryMb(kind);
        pool = make();
        await pool.ready;
        await new Promise((resolve) => setTimeout(resolve, 300));
        return { value: (memoryMb(kind) - before) / COUNT };
      },
      end: () => pool?.terminate(),
    };
  },

  "memory-used"(ctx) {
    const pool = new ctx.Pool(2);
    const run = async (count: number) => {
      for (let done = 0; done < count; done += 10_000) {
        const results = [];
        for (let i = 0; i < 10_000; i++) results.push(pool.apply(square, [i]));
        await Promise.all(results);
      }
    };
    return {
      round: async () => {
        const before = memoryMb("Rss");
        await run(300_000);
        return { value: memoryMb("Rss") - before };
      },
      end: () => pool.terminate(),
    };
  },

  idle(ctx) {
    const pool = new ctx.Pool(2);
    return {
      round: async () => {
        await pool.apply(square, [1]);
        await new Promise((resolve) => setTimeout(resolve, 200));
        const before = cpuSeconds();
        await new Promise((resolve) => setTimeout(resolve, 2000));
        return { value: (cpuSeconds() - before) / 2 * 100 };
      },
      end: () => pool.terminate(),
    };
  },
};

if (import.meta.main) {
  const [row, method, size] = Deno.args;
  const ctx = getContext(method as StartMethod);
  await takeTurns(ROWS[row!]!(ctx, Number(size ?? 0)));
}
