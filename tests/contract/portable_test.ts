/**
 * A sample of the contract on the memory and waiting of systems that have neither
 * futexes nor memfd; `deno task test:portable` runs all of it. The choice is made
 * once per program, so it takes another program.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { isPortable } from "../_support/portable.ts";

/** One of each: what waits, what is woken, what dies. */
const SAMPLE =
  /^(LOCK-01 Lock held|LESSON-06|COND-01|EVENT-01|BARR-01|QUEUE-0[15]|LESSON-05 Queue|CONN-01|POLL-03|WAIT-06|PROC-14|crash matrix: kill (taking|holding)).*\(spawn\)$/;
/** What the sample has at least, should a name change. */
const SAMPLE_SIZE = 16;
const FILES = [
  "./locks_test.ts",
  "./queues_test.ts",
  "./pipes_test.ts",
  "./process_test.ts",
  "../crash/primitives_test.ts",
];

Deno.test({
  name: "the contract holds without futexes and memfd",
  // Then this very test is part of all that runs so.
  ignore: isPortable,
  fn: async () => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "test",
        "--quiet",
        "--no-check",
        "--allow-all",
        "--filter",
        String(SAMPLE),
        ...FILES.map((file) => new URL(file, import.meta.url).href),
      ],
      env: { MULTIPROCESSING_WAITING: "portable", NO_COLOR: "1" },
      stdin: "null",
    }).output();
    const text = new TextDecoder().decode(stdout);
    assertEquals(code, 0, text + new TextDecoder().decode(stderr));
    const [, passed] = text.match(/ok \| (\d+) passed/) ?? [];
    assert(Number(passed) >= SAMPLE_SIZE, text);
  },
});
