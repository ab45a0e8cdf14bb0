import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { Event } from "../../primitives/event.ts";
import { eachKind, look } from "./_sync_world.ts";
import type { SyncWorld } from "./_sync_world.ts";

const WAITERS = 10;
const ROUNDS = 200;

function make(world: SyncWorld): Event {
  return new (world.of(Event))();
}

eachKind("EVENT-01 Event.wait() waits until it is set", async (world) => {
  const event = make(world);
  const there = world.give(event, world.another());
  assertEquals(event.isSet(), false);
  assertEquals(await event.wait({ timeout: 0 }), false);
  assertEquals(await event.wait({ timeout: 10 }), false);
  assertEquals(event.waitSync({ timeout: 1 }), false);

  event.set();
  event.set();
  assert(event.isSet() && there.isSet());
  assertEquals(await event.wait(), true);
  assertEquals(await event.wait({ timeout: 0 }), true);
  assertEquals(there.waitSync(), true);

  event.clear();
  event.clear();
  assertEquals(event.isSet(), false);
  const waiting = event.wait();
  assertEquals(await look(waiting), ["waits"]);
  there.set();
  assertEquals(await waiting, true);
});

eachKind("EVENT-02 Event.toString() says whether it is set", (world) => {
  const event = make(world);
  assertMatch(`${event}`, /^<Event at 0x[0-9a-f]+ unset>$/);
  event.set();
  assertMatch(Deno.inspect(event), /^<Event at 0x[0-9a-f]+ set>$/);
});

eachKind(
  "LESSON-58 Event.set() releases all who waited, whatever follows",
  async (world) => {
    const event = make(world);
    const there = world.give(event, world.another());
    for (let i = 0; i < ROUNDS; i++) {
      const waiting = Array.from(
        { length: WAITERS },
        (_, i) => (i % 2 === 0 ? event : there).wait(),
      );
      event.set();
      event.clear();
      assertEquals(await Promise.all(waiting), Array(WAITERS).fill(true));
      assertEquals(event.isSet(), false);
    }
  },
);

eachKind(
  "LESSON-58 Event.clear() holds back who comes after it",
  async (world) => {
    const event = make(world);
    event.set();
    event.clear();
    const waiting = event.wait();
    assertEquals(await look(waiting), ["waits"]);
    event.set();
    event.clear();
    assert(await waiting);
  },
);

eachKind(
  "Event.wait() rejects with the reason of an aborted signal",
  async (world) => {
    const event = make(world);
    const controller = new AbortController();
    const reason = new Error("stop");
    const waiting = event.wait({ signal: controller.signal });
    controller.abort(reason);
    assertStrictEquals(await assertRejects(() => waiting), reason);
    event.set();
    assertStrictEquals(
      await assertRejects(() => event.wait({ signal: controller.signal })),
      reason,
    );
  },
);

eachKind(
  "LESSON-04 Event.set() does not mind a killed waiter",
  async (world) => {
    const event = make(world);
    const other = world.another();
    const doomed = world.give(event, other).wait({
      signal: world.afterlife.signal,
    });
    const waiting = event.wait();
    world.kill(other, doomed);
    event.set();
    assert(await waiting);
  },
);

eachKind(
  "LESSON-04 Event.wait() sees what a killed setter has set",
  async (world) => {
    const event = make(world);
    const other = world.another();
    const there = world.give(event, other);
    // Killed between the change and the wake: nobody is told.
    other.waiting.wake = () => {};
    const waiting = event.wait();
    there.set();
    assertEquals(await look(waiting), ["waits"]);
    world.kill(other);
    assert(await waiting);
  },
);
