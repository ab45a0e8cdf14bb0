/**
 * The arenas this thread has: at most one of its own per start method, made when
 * it is first needed or taken over from the parent, and those of other
 * participants that a handle has led to. What it was not given by its parent, it
 * says where its parent looks (`places.ts`).
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { Arena } from "./arena.ts";
import type { ArenaHandle } from "./arena.ts";
import { isNative } from "./_system.ts";
import type { MemoryKind } from "./memory.ts";
import { notePlace } from "./places.ts";

/**
 * What a handle says of its arena: `[kind, id, pid, fd, sizeLog2]`. A thread's
 * arena cannot be reached by numbers, so the last three are 0.
 */
export type ArenaAddress = readonly [
  kind: MemoryKind,
  id: number,
  pid: number,
  fd: number,
  sizeLog2: number,
];

const own = new Map<MemoryKind, Arena>();
const known = new Map<number, Arena>();
const onCreate: ((arena: Arena) => void)[] = [];
/** Where this thread was born, and is buried. */
let home: Arena | undefined;

/**
 * This thread's arena for a start method; the first call makes it.
 *
 * @param kind The start method.
 * @throws {Error} If the system or the permissions do not allow it.
 */
export function arenaFor(kind: MemoryKind): Arena {
  const arena = own.get(kind);
  if (arena) return arena;
  const made = Arena.create(kind);
  tellHome(made, addressOf(made));
  return adopt(made);
}

/** This thread's arena for a start method, if it has one. */
export function existingArena(kind: MemoryKind): Arena | undefined {
  return own.get(kind);
}

/** Whether the processes of this program do without what only Linux has. */
export function isPortable(): boolean {
  return own.get("spawn")?.memory.isPortable ?? !isNative();
}

/** Makes an arena this thread's own. */
export function adopt(arena: Arena): Arena {
  own.set(arena.kind, arena);
  return know(arena);
}

function know(arena: Arena): Arena {
  known.set(arena.id, arena);
  for (const listener of onCreate) listener(arena);
  return arena;
}

/** Attaches to the arena a parent has made, and makes it this thread's own. */
export function adoptFrom(handle: ArenaHandle): Arena {
  const arena = Arena.attach(handle);
  home ??= arena;
  return adopt(arena);
}

/** Says that this thread has joined an arena by itself. */
function tellHome(arena: Arena, address: ArenaAddress): void {
  // Threads' memory is gone with their process.
  if (!home || arena.kind === "worker") return;
  // Whoever buries a thread has the files of its process too; another process may
  // reach what the one had open that the handle names.
  const reachable = home.kind === "worker" ? addressOf(arena) : address;
  notePlace(home, { address: reachable, token: arena.me });
}

/** Calls back for each arena this thread takes or comes to take part in. */
export function eachArena(listener: (arena: Arena) => void): void {
  onCreate.push(listener);
  for (const arena of known.values()) listener(arena);
}

/** What others need to find an arena. */
export function addressOf(arena: Arena): ArenaAddress {
  const { memory, sizeLog2 } = arena.handle();
  return memory.kind === "spawn"
    ? ["spawn", arena.id, memory.pid, memory.fd, sizeLog2]
    : ["worker", arena.id, 0, 0, 0];
}

/**
 * Finds the arena a handle belongs to, attaching to it if this thread has not
 * seen it yet.
 *
 * @param address What the handle says.
 * @throws {Error} If it is out of reach.
 */
export function locate(address: ArenaAddress): Arena {
  const [kind, id, pid, fd, sizeLog2] = address;
  const arena = known.get(id);
  if (arena?.kind === kind) return arena;
  if (kind === "worker") {
    throw new Error(
      "Cannot use an object of the worker context here as its memory belongs to the threads of another process: create it in the spawn context",
    );
  }
  const memory = { kind, pid, fd } as const;
  const found = Arena.attach({ memory, sizeLog2, token: 0 });
  tellHome(found, address);
  return own.has(kind) ? know(found) : adopt(found);
}
