/**
 * What participants refer to, and what is given back when they have ended.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { Arena } from "../../memory/mod.ts";
import * as at from "../../memory/layout.ts";
import { eachKind } from "./_world.ts";
import type { World } from "./_world.ts";

/** Three pages of references, and a little more. */
const MANY = 800;

/** Offsets of blocks; nobody looks at what is there. */
function blocks(count: number): number[] {
  return Array.from({ length: count }, (_, i) => at.HEAP_BYTE + i * at.UNIT);
}

/** Buries one, and gives what it referred to. */
function buried({ arena }: World, token: number): number[] {
  const given: number[] = [];
  const { references } = arena;
  references.empty(references.take(token), (offset) => given.push(offset));
  arena.bury(token);
  return given;
}

eachKind(
  "References.empty() gives back what the dead referred to, once",
  (world) => {
    const dead = world.another();
    const places = blocks(5).map((offset) => dead.references.note(offset));
    dead.references.strike(places[1]!);
    dead.references.note(at.HEAP_BYTE); // a second time
    const given = [...buried(world, dead.me), ...buried(world, dead.me)];
    const [a, , c, d, e] = blocks(5);
    assertEquals(given.sort(), [a, a, c, d, e].sort());
  },
);

eachKind(
  "References.note() takes pages as it needs them, and gives them back",
  (world) => {
    const { heap } = world.arena;
    const before = heap.blocks;
    const dead = world.another();
    const places = blocks(MANY).map((offset) => dead.references.note(offset));
    assertEquals(heap.blocks, before + 4);
    // In an order that empties the first page last, one in the middle first.
    const middle = places.splice(300, 300);
    for (const place of [...middle, ...places.splice(1).reverse()]) {
      dead.references.strike(place);
    }
    assertEquals(heap.blocks, before + 1);
    const again = blocks(MANY).map((offset) => dead.references.note(offset));
    assertEquals(again.length, MANY);
    const given = buried(world, dead.me);
    assertEquals(given.length, MANY + 1);
    assertEquals(heap.blocks, before);
  },
);

eachKind(
  "References.noteFor() is for the child, whether it lives to see it or not",
  (world) => {
    const { arena } = world;
    const [first, second, third] = blocks(3) as [number, number, number];
    const handles = [arena.invite(), arena.invite()] as const;
    for (const { token } of handles) {
      for (const offset of [first, second, second]) {
        arena.references.noteFor(token, offset);
      }
    }
    // One struck out again, as for a message that could not be encoded.
    arena.references.strike(
      arena.references.noteFor(handles[1].token, third),
    );

    const child = world.adopt(Arena.attach(handles[1]));
    // It arrives: not written down twice.
    child.references.strike(child.references.note(second));
    const given = handles.map(({ token }) => buried(world, token).sort());
    assertEquals(given, [[first, second, second], [first, second]]);
  },
);
