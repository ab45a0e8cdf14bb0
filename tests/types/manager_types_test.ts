/**
 * What the types of managers say. Nothing of this is run: it has to compile, and
 * what is marked as an error has to be one.
 *
 * @module
 */
import type {
  ArrayProxy,
  BaseProxy,
  DictProxy,
  ListProxy,
  QueueProxy,
  Remote,
  SyncManager,
} from "../../mod.ts";
import type { Foo } from "../fixtures/managers.ts";

function add(n: number | undefined, by: number): number {
  return (n ?? 0) + by;
}

/** Compiled, not called. */
export async function types(m: SyncManager): Promise<void> {
  const dict: DictProxy<string, number> = await m.dict<string, number>();
  const value: number | undefined = await dict.get("a");
  const given: number = await dict.get("a", 0);
  // @ts-expect-error -- a key of another type
  await dict.set(1, 1);
  // @ts-expect-error -- a value of another type
  await dict.set("a", "b");
  const entries: [string, number][] = await dict.entries();
  for await (const key of dict) key satisfies string;
  await dict.update("a", add, 1);
  // @ts-expect-error -- an argument is missing
  await dict.update("a", add);
  await dict.update({ a: 1 });
  await dict.update(new Map([["a", 1]]));

  const named: DictProxy<string, number> = await m.dict({ a: 1 });
  const mapped: DictProxy<number, string> = await m.dict(new Map([[1, "a"]]));
  // @ts-expect-error -- an object has texts as keys
  await m.dict<number, string>({ a: "b" });

  const list: ListProxy<number> = await m.list([1, 2]);
  // @ts-expect-error -- an item of another type
  await list.append("x");
  const items: number[] = await list.slice(1);
  await list.sort((a, b) => b - a);

  const namespace = await m.Namespace<{ x: number; y: string }>();
  const x: number = await namespace.get("x");
  // @ts-expect-error -- no such name
  await namespace.get("z");
  // @ts-expect-error -- a value of another type
  await namespace.set("y", 1);

  const queue: QueueProxy<string> = await m.Queue<string>();
  const item: string = await queue.get({ timeout: 10 });

  const numbers: ArrayProxy<number> = await m.Array("i", [1]);
  const bigs: ArrayProxy<bigint> = await m.Array("q", [1n]);

  const foo: Remote<Foo> = await m.create<Foo>("Foo");
  const text: string = await foo.f();
  // @ts-expect-error -- names with _ are not exposed by themselves
  foo._h();
  const proxy: BaseProxy = foo;

  await using guard = await (await m.Lock()).acquire();
  const abandoned: boolean | undefined = guard?.abandoned;
  void [value, given, entries, named, mapped, items, x, item, numbers, bigs];
  void [text, proxy, abandoned];
}
