/**
 * Where else a participant takes part, written down where whoever buries it finds
 * it.
 *
 * Each child is born in one arena, in a slot that its parent has claimed, and the
 * parent buries it there. Another arena it may join by itself, when a handle leads
 * it there or because it makes it: a thread that was started before its program
 * shared anything with processes, for one. Nobody has claimed that slot, so nobody
 * there knows whose it is; here it says so itself.
 *
 * ```
 *   slot where it was born ──> | next · its token there · where that is |
 * ```
 *
 * **Who writes.** Only the participant itself, before it has anything there that
 * could be left behind. Whoever buries it takes the whole list with one exchange.
 * If it is killed before the store that adds a record to the list, it leaves a
 * record of 64 bytes and a slot, and nothing that anybody waits for.
 *
 * Runs in the child, and in whoever sees to its end.
 *
 * @module
 */
import type { Arena } from "./arena.ts";
import type { ArenaAddress } from "./arenas.ts";
import * as at from "./layout.ts";
import { slotOf, slotWord } from "./participants.ts";

/** Somewhere else that a participant takes part. */
export interface Elsewhere {
  /** Where. */
  readonly address: ArenaAddress;
  /** As whom. */
  readonly token: number;
}

/** Bytes of a record: numbers of 8 bytes, as a file may be more than a word. */
const RECORD_BYTES = 64;
/** How many of them there are. */
const FIELDS = 6;

/**
 * Writes down that this participant takes part elsewhere too.
 *
 * @param home Where it was born.
 * @param elsewhere Where else, and as whom.
 */
export function notePlace(home: Arena, elsewhere: Elsewhere): void {
  const { heap, me, participants } = home;
  // A thread that was ended may come here after its burial: see `contexts/graves.ts`.
  if (!participants.isCurrent(me)) return;
  const [, id, pid, fd, sizeLog2] = elsewhere.address;
  const offset = heap.allocate(RECORD_BYTES);
  const first = participants.load(me, at.S_PLACES) >>> 0;
  recordAt(home, offset)
    .set([first, elsewhere.token, id, pid, fd, sizeLog2]);
  participants.store(me, at.S_PLACES, offset / at.UNIT);
}

/**
 * Takes the places of one that has ended, before it is buried.
 *
 * @param home Where it was born.
 * @param token Its token there.
 */
export function takePlaces(home: Arena, token: number): Elsewhere[] {
  const found: Elsewhere[] = [];
  const slot = slotWord(slotOf(token));
  const header = home.words(0, slot + at.SLOT_WORDS);
  let unit = Atomics.exchange(header, slot + at.S_PLACES, 0) >>> 0;
  while (unit !== 0) {
    const offset = unit * at.UNIT;
    const [next, there, id, pid, fd, sizeLog2] = recordAt(home, offset);
    found.push({
      address: ["spawn", id!, pid!, fd!, sizeLog2!],
      token: there!,
    });
    home.heap.free(offset, RECORD_BYTES);
    unit = next!;
  }
  return found;
}

function recordAt(home: Arena, offset: number): Float64Array {
  const { buffer, byteOffset } = home.bytes(offset, RECORD_BYTES);
  return new Float64Array(buffer, byteOffset, FIELDS);
}
