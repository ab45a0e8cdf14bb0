/**
 * What the platform itself can do, as a limit: `limits.mjs ROW WAY`.
 *
 * @module
 */
import process from "node:process";
import { Worker } from "node:worker_threads";
import { eachTimed, eachTimedSync, rate, takeTurns } from "./_turns.mjs";

const TRIPS = 3000;
const ITEMS = 50_000;

const ECHO = `
  import { parentPort, workerData } from "node:worker_threads";
  if (workerData) {
    const words = new Int32Array(workerData);
    for (let turn = 1;; turn += 2) {
      while (Atomics.load(words, 0) !== turn) Atomics.wait(words, 0, turn - 1);
      Atomics.store(words, 0, turn + 1);
      Atomics.notify(words, 0);
    }
  }
  parentPort.on("message", (value) => {
    if (typeof value !== "number" || value >= 0) {
      return parentPort.postMessage(value);
    }
    for (let i = 0; i < -value; i++) {
      parentPort.postMessage({ id: i, name: "item", done: false });
    }
  });
`;
const CODE = new URL(`data:text/javascript,${encodeURIComponent(ECHO)}`);

const WAYS = {
  /** A message there and back. */
  postMessage() {
    const worker = new Worker(CODE);
    let answer;
    worker.on("message", () => answer());
    const trip = (value) =>
      new Promise((resolve) => {
        answer = resolve;
        worker.postMessage(value);
      });
    return {
      round: () => eachTimed(TRIPS, trip),
      end: () => worker.terminate(),
    };
  },

  /** Messages one way. */
  "postMessage items"() {
    const worker = new Worker(CODE);
    let left = 0;
    let all;
    worker.on("message", () => --left === 0 && all());
    return {
      round: () =>
        rate(ITEMS, () =>
          new Promise((resolve) => {
            left = ITEMS;
            all = resolve;
            worker.postMessage(-ITEMS);
          })),
      end: () => worker.terminate(),
    };
  },

  /** A word there and back, both threads blocking. */
  words() {
    const buffer = new SharedArrayBuffer(8);
    const words = new Int32Array(buffer);
    const worker = new Worker(CODE, { workerData: buffer });
    let turn = 0;
    return {
      round: () =>
        eachTimedSync(TRIPS, () => {
          Atomics.store(words, 0, turn + 1);
          Atomics.notify(words, 0);
          while (Atomics.load(words, 0) !== turn + 2) {
            Atomics.wait(words, 0, turn + 1);
          }
          turn += 2;
        }),
      end: () => void worker.terminate(),
    };
  },

  /** 64 MB there and back, copied. */
  "postMessage 64 MB"() {
    const worker = new Worker(CODE);
    const array = new Float64Array(2 ** 23).fill(1.5);
    let answer;
    worker.on("message", () => answer());
    return {
      round: async () => {
        const start = performance.now();
        await new Promise((resolve) => {
          answer = resolve;
          worker.postMessage(array);
        });
        return { value: performance.now() - start };
      },
      end: () => worker.terminate(),
    };
  },

  /** A worker that does nothing, from its making to its end. */
  worker: () => ({
    round: async () => {
      const start = performance.now();
      await new Promise((resolve) =>
        new Worker(new URL("data:text/javascript,")).on("exit", resolve)
      );
      return { value: performance.now() - start };
    },
  }),

  /** The same for a process. */
  process: () => ({
    round: async () => {
      const start = performance.now();
      const url = "data:text/javascript,";
      await new Deno.Command(Deno.execPath(), {
        args: ["run", "--no-config", url],
      }).output();
      return { value: performance.now() - start };
    },
  }),

  /** Processes that wait: MiB that are resident in each. */
  "idle process": () => idle("setInterval(() => {}, 1e9);"),

  /** The same with a function of the C library, by which memory is shared. */
  "idle process, FFI": () =>
    idle(`
      const { symbols } = Deno.dlopen("libc.so.6", {
        getpid: { parameters: [], result: "i32" },
      });
      setInterval(symbols.getpid, 1e9);
    `),
};

function idle(code) {
  const COUNT = 4;
  const url = `data:text/javascript,${encodeURIComponent(code)}`;
  const children = [];
  return {
    round: async () => {
      end(children);
      for (let i = 0; i < COUNT; i++) {
        children.push(
          new Deno.Command(Deno.execPath(), {
            args: ["run", "-A", "--no-config", url],
          }).spawn(),
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 500));
      const kib = children.map(({ pid }) =>
        Number(
          /^Rss:\s+(\d+)/m.exec(
            Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`),
          )[1],
        )
      );
      return { value: kib.reduce((sum, one) => sum + one) / COUNT / 1024 };
    },
    end: () => end(children),
  };
}

function end(children) {
  for (const child of children.splice(0)) child.kill("SIGKILL");
}

await takeTurns(WAYS[process.argv[2]]());
