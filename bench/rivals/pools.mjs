/**
 * The JavaScript pools: `pools.mjs ROW RIVAL`. Runs in Node and in Deno, from a
 * copy in the folder where the rivals are installed.
 *
 * @module
 */
import process from "node:process";
import { burstRate, eachTimed, takeTurns } from "../sides/_turns.mjs";

const file = (name) => new URL(name, import.meta.url);

/** Each gives a way to call `square` in so many workers. */
const POOLS = {
  async piscina(size) {
    const { Piscina } = await import("piscina");
    const pool = new Piscina({
      filename: file("task.mjs").href,
      minThreads: size,
      maxThreads: size,
    });
    return { call: (x) => pool.run(x), end: () => pool.destroy() };
  },

  tinypool: (size) => tinypool(size, "worker_threads"),
  "tinypool processes": (size) => tinypool(size, "child_process"),

  workerpool: (size) => workerpool(size, "thread"),
  "workerpool processes": (size) => workerpool(size, "process"),

  async poolifier(size) {
    const { FixedThreadPool } = await import("poolifier");
    const pool = new FixedThreadPool(
      size,
      file("poolifier_worker.mjs").pathname,
      { errorHandler: (error) => console.error(error) },
    );
    return { call: (x) => pool.execute(x), end: () => pool.destroy() };
  },
};

async function tinypool(size, runtime) {
  const { Tinypool } = await import("tinypool");
  const pool = new Tinypool({
    filename: file("task.mjs").href,
    minThreads: size,
    maxThreads: size,
    runtime,
  });
  return { call: (x) => pool.run(x), end: () => pool.destroy() };
}

async function workerpool(size, workerType) {
  const { default: module } = await import("workerpool");
  const pool = module.pool(file("workerpool_worker.mjs").pathname, {
    minWorkers: size,
    maxWorkers: size,
    workerType,
  });
  return { call: (x) => pool.exec("square", [x]), end: () => pool.terminate() };
}

const [row, rival, count] = process.argv.slice(2);
const { call, end } = await POOLS[rival](row === "serial" ? 1 : 2);

await takeTurns({
  round: row === "serial"
    ? () => eachTimed(Number(count), call)
    : () => burstRate(Number(count), call),
  end,
});
