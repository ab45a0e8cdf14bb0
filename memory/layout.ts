/**
 * Where things lie in an arena, in one place.
 *
 * An arena is one range of memory that every participant (process or worker
 * thread) of a program sees. Everything shared lives in it: the table of
 * participants, the wait entries, the free lists, and the heap from which locks,
 * values and queues take their blocks. An offset into the arena is therefore a
 * complete handle: it means the same to everyone, for as long as the arena lives.
 *
 * ```
 *   0        64 KiB                4 MiB + 64 KiB   8 MiB                    size
 *   | header | participants' table | (unused)      | heap: blocks by offset ... |
 * ```
 *
 * Only pages that are touched cost memory; the size is a reservation.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */

/** First word of every arena; anything else is not one of ours. */
export const MAGIC = 0x4d50_4152;
/** Raised whenever the layout below changes. */
export const VERSION = 1;

// ---- header, word indexes -------------------------------------------------

/** {@linkcode MAGIC} · creator, once · everybody on attaching. */
export const H_MAGIC = 0;
/** A random number that tells arenas apart · creator, once · everybody. */
export const H_ID = 2;
/** {@linkcode VERSION} · creator, once · everybody on attaching. */
export const H_VERSION = 1;
/** Mutex of the allocator (see `mutex.ts`) · allocators. */
export const H_HEAP_LOCK = 3;
/** First never-used byte of the heap, in units of 64 B · allocator, locked. */
export const H_HEAP_TOP = 4;
/** Next ticket; orders waiters by age · every waiter adds one. */
export const H_TICKET = 5;
/** Slots in use are all below this · whoever claims a slot · every waker. */
export const H_SLOTS_USED = 6;
/** How many participants wait on more keys than they have entries for. */
export const H_OVERFLOWING = 8;
/** Arena size as a power of two · creator, once. */
export const H_SIZE_LOG2 = 9;
/** Source of idents, names and other program-wide numbers · adds one. */
export const H_SERIAL = 10;
/** Blocks handed out less blocks given back · allocator, locked · tests. */
export const H_BLOCKS = 11;
/** 1 if processes ring each other by doorbells, 0 by futexes · creator, once. */
export const H_DOORBELLS = 12;
/** Mutex of who takes the place of ancestors that have ended · whoever does. */
export const H_SUCCESSION = 13;
/** Heads of the free lists by size class, in units of 64 B, 0 for none. */
export const H_FREE = 16;
/** Waiters per hash of their key: lets a waker see that nobody waits. */
export const H_BUCKETS = 1024;
/** Number of buckets: a power of two, large enough that clashes are rare. */
export const BUCKETS = 4096;

/** Bytes of the header. */
export const HEADER_BYTES: number = 64 * 1024;

// ---- participants' table, word indexes within a slot -----------------------

/** One of the `SLOT_…` states · see each state · everybody. */
export const S_STATE = 0;
/** How often the slot has been claimed · claimer · everybody, through tokens. */
export const S_GENERATION = 1;
/** Process id of the participant · itself · reapers and diagnosis. */
export const S_PID = 2;
/**
 * Token of the one that buries it: whoever started it, then whoever took that
 * one's place; 0 if nobody does · claimer, then who takes the place · descendants.
 */
export const S_PARENT = 3;
/** The doorbell: counts rings · every waker adds one · only the owner sleeps. */
export const S_BELL = 4;
/** 1 while the owner sleeps or is about to · owner · wakers. */
export const S_SLEEPING = 5;
/** Wait entries in use are all below this · owner · wakers. */
export const S_ENTRIES_USED = 6;
/** 1 when the overflow waiters were rung · wakers set, owner clears. */
export const S_OVERFLOW_RUNG = 7;
/** 1 while some waiters found no entry · owner · wakers. */
export const S_OVERFLOWING = 8;
/**
 * Locks the owner has taken less those it has released itself · owner only, which
 * saves it two atomic additions a lock · its reaper.
 */
export const S_LOCKS_HELD = 9;
/** Block with what a child needs to start, in units of 64 B · its parent. */
export const S_BIRTH = 10;
/** Number that tells participants apart, never reused · claimer. */
export const S_IDENT = 11;
/** One of the `ENDING_…` stages · its parent · itself, mutexes. */
export const S_ENDING = 12;
/** Written by the child as it ends: see `contexts/` · child · its parent. */
export const S_EXIT_NOTE = 13;
/** Where it is rung, if not by futex: see `_doorbell.ts` · owner · wakers. */
export const S_PORT = 14;
/** Locks that others have released in its name · they add one · its reaper. */
export const S_LOCKS_RETURNED = 15;
/**
 * First page of the list of blocks it refers to, in units of 64 B: see
 * `references.ts` · owner, and its parent before it starts · its reaper.
 */
export const S_REFERENCES = 16;
/**
 * First record of where else it takes part, in units of 64 B: see `places.ts` ·
 * owner · its reaper.
 */
export const S_PLACES = 17;
/**
 * Its socket plus one, 0 if it has none: see `_doorbell.ts` · owner · who buries it.
 */
export const S_SOCKET = 18;
/**
 * 1 while it loads modules of the user's, when a thread must not be interrupted ·
 * owner · its parent.
 */
export const S_LOADING = 19;
/** First word of the wait entries. */
export const S_ENTRIES = 20;

/** Words of a slot. */
export const SLOT_WORDS = 256;
/** Slots in the table: how many participants can be alive at once. */
export const SLOTS = 4096;
/** Where the table starts, as a word index. */
export const TABLE_WORD: number = HEADER_BYTES / 4;

/** Nobody has it. */
export const SLOT_FREE = 0;
/** A parent has claimed it for a child that has not come up yet. */
export const SLOT_RESERVED = 1;
/** Its owner runs. */
export const SLOT_ALIVE = 2;
/** Its owner went through an orderly end; what it held stays held. */
export const SLOT_LEFT = 3;
/** Its owner ended without one; what it held is abandoned. */
export const SLOT_DEAD = 4;
/** Its owner left and has ended, and locks are still held in its name. */
export const SLOT_KEPT = 5;

/** Nobody wants it ended by force. */
export const ENDING_NOT = 0;
/** It is to begin nothing any more, and will be ended soon. */
export const ENDING_SOON = 1;
/** It is being ended. */
export const ENDING_NOW = 2;

// ---- a wait entry -----------------------------------------------------------

/** What is waited for (see `keyOf` in `arena.ts`) · owner · wakers. */
export const E_KEY = 0;
/** One of the `ENTRY_…` states. */
export const E_STATE = 1;
/** The waiter's age: the lowest is woken first · owner · wakers. */
export const E_TICKET = 2;
/** Words of an entry. */
export const ENTRY_WORDS = 4;
/** Entries of a slot: distinct keys one participant waits on without overflow. */
export const ENTRIES: number = (SLOT_WORDS - S_ENTRIES) / ENTRY_WORDS;

/** Nobody waits · owner. */
export const ENTRY_FREE = 0;
/** The owner waits · owner. */
export const ENTRY_WAITING = 1;
/** A waker chose it · wakers, by compare-and-swap from waiting. */
export const ENTRY_NOTIFIED = 2;

// ---- heap -----------------------------------------------------------------

/**
 * Memory of processes is looked at through windows of this size, and no block but
 * one that is larger crosses the border of one. (V8 counts a buffer over foreign
 * memory as if it had been allocated: one over all of the arena would make it
 * collect garbage without end.)
 */
export const WINDOW_BYTES: number = 8 * 1024 * 1024;
/** Where the heap starts: the header and the table have the first window. */
export const HEAP_BYTE: number = WINDOW_BYTES;
/** Smallest block: one cache line, so that two locks never share one. */
export const UNIT = 64;
/** Bits of a unit. */
export const UNIT_LOG2 = 6;
/** Largest block, as a power of two: 4 GiB. */
export const LARGEST_BLOCK_LOG2 = 32;

// ---- tokens ----------------------------------------------------------------

/** Bits of a token that are the slot. */
export const TOKEN_SLOT_BITS = 12;
/** Generations wrap below this, so that a token stays a positive int32. */
export const GENERATIONS: number = 1 << (31 - TOKEN_SLOT_BITS);
