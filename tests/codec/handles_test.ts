import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  decode,
  encode,
  encodeParts,
  registerClass,
  registerTag,
  TO_WIRE,
  type WireForm,
} from "../../codec/mod.ts";
import { decodeMessage } from "../../codec/decoder.ts";
import { unknownTag } from "../../codec/handles.ts";
import { EncodingError } from "../../errors.ts";

class Handle {
  constructor(readonly id: number, readonly source?: unknown) {}
  [TO_WIRE](target: unknown): WireForm {
    return { tag: "test/handle", data: { id: this.id, target } };
  }
}

registerTag("test/handle", (data, source) => {
  const { id, target } = data as { id: number; target: unknown };
  return new Handle(id, [target, source]);
});

Deno.test("registerTag() revives handles, with target and source", () => {
  const bytes = encode({ handle: new Handle(7) }, { target: "there" });
  const { handle } = decode(bytes, { source: "here" }) as { handle: Handle };
  assert(handle instanceof Handle);
  assertEquals(handle.id, 7);
  assertEquals(handle.source, ["there", "here"]);
});

Deno.test("encode() asks a handle once, however often it occurs", () => {
  let asked = 0;
  class Counted extends Handle {
    override [TO_WIRE](target: unknown): WireForm {
      asked++;
      return super[TO_WIRE](target);
    }
  }
  const handle = new Counted(1);
  const [a, b] = decode(encode([handle, handle])) as Handle[];
  assertEquals(asked, 1);
  assert(a === b);
});

Deno.test("encode() takes handles that are functions, proxies or plain objects", () => {
  const form = () => ({ tag: "test/handle", data: { id: 3 } });
  const values = [
    Object.assign(() => {}, { [TO_WIRE]: form }),
    { [TO_WIRE]: form, other: () => {} },
    new Proxy({}, { get: (_, key) => key === TO_WIRE ? form : undefined }),
    new (class extends Map<unknown, unknown> {
      [TO_WIRE] = form;
    })(),
  ];
  for (const handle of decode(encode(values)) as Handle[]) {
    assertEquals(handle.id, 3);
  }
});

Deno.test("encode() throws what a handle throws, as it is", () => {
  const reason = new EncodingError("Cannot send this lock", { path: "x" });
  const value = {
    [TO_WIRE]: () => {
      throw reason;
    },
  };
  assert(assertThrows(() => encode([value])) === reason);
});

Deno.test("decode() throws what a reviver throws, as it is", () => {
  const reason = new Deno.errors.NotFound("gone");
  registerTag("test/gone", () => {
    throw reason;
  });
  const bytes = encode({ [TO_WIRE]: () => ({ tag: "test/gone", data: 0 }) });
  assert(assertThrows(() => decode(bytes)) === reason);
});

Deno.test("decode() throws if the kind of a handle is not known", () => {
  const bytes = encode({ [TO_WIRE]: () => ({ tag: "test/none", data: 0 }) });
  assertThrows(
    () => decode(bytes),
    EncodingError,
    'Cannot decode a handle as its kind is not known here: "test/none"',
  );
});

Deno.test("decode() gives references to what a reviver made, even to undefined", () => {
  registerTag("test/undefined", () => undefined);
  const handle = { [TO_WIRE]: () => ({ tag: "test/undefined", data: {} }) };
  assertEquals(decode(encode([handle, handle])), [undefined, undefined]);
});

Deno.test("encode() sends a function by what encodeFunction gives, with its path", () => {
  const double = (n: number) => 2 * n;
  const calls: unknown[] = [];
  const bytes = encode({ a: [double, double] }, {
    root: "args",
    encodeFunction: (fn, path) => {
      calls.push([fn, path]);
      return { module: "m", name: "double" };
    },
  });
  const references: unknown[] = [];
  const { a } = decode(bytes, {
    decodeFunction: (reference) => {
      references.push(reference);
      return double;
    },
  }) as { a: unknown[] };

  assertEquals(a, [double, double]);
  assertEquals(calls, [[double, "args.a[0]"]]);
  assertEquals(references, [{ module: "m", name: "double" }]);
});

Deno.test("encode() throws what encodeFunction throws, as it is", () => {
  const reason = new EncodingError("Cannot send a closure");
  const encodeFunction = () => {
    throw reason;
  };
  assert(assertThrows(() => encode(() => {}, { encodeFunction })) === reason);
});

Deno.test("encode() sends a SharedArrayBuffer by what encodeSharedBuffer gives", () => {
  const shared = new SharedArrayBuffer(16);
  const growable = new SharedArrayBuffer(16, { maxByteLength: 32 });
  const memory = [shared, growable];
  const value = [
    shared,
    new Uint8Array(shared, 4, 4),
    new Int32Array(shared),
    new DataView(shared, 8),
    new Uint8Array(growable, 8),
    new Uint8Array(growable, 8, 8),
  ];
  const paths: string[] = [];
  const bytes = encode(value, {
    encodeSharedBuffer: (buffer, path) => {
      paths.push(path);
      return memory.indexOf(buffer);
    },
  });
  const restored = decode(bytes, {
    decodeSharedBuffer: (index) => memory[index as number],
  }) as [SharedArrayBuffer, ...Uint8Array[]];

  assertEquals(paths, ["value[0]", "value[4]"]);
  assert(restored[0] === shared);
  const [, ...views] = restored;
  assertEquals(
    views.map((view) => [view.buffer, view.byteOffset, view.byteLength]),
    (value.slice(1) as Uint8Array[]).map((
      view,
    ) => [view.buffer, view.byteOffset, view.byteLength]),
  );
  growable.grow(24);
  assertEquals(views.slice(3).map((view) => view.byteLength), [16, 8]);
});

Deno.test("decode() refuses functions and shared memory without its options", () => {
  const fn = encode(() => {}, { encodeFunction: () => 1 }).slice();
  assertThrows(
    () => decode(fn),
    EncodingError,
    "Cannot decode a function as functions are not accepted here",
  );
  const memory = encode(new SharedArrayBuffer(1), {
    encodeSharedBuffer: () => 1,
  }).slice();
  assertThrows(
    () => decode(memory),
    EncodingError,
    "Cannot decode a SharedArrayBuffer as shared memory is not accepted here",
  );
});

Deno.test("encode() and decode() may be called by hooks", () => {
  const inner = { deep: [1, 2, { a: "b" }] };
  registerTag(
    "test/nested",
    (data) => [decode(data as Uint8Array), decode(data as Uint8Array)],
  );
  const nested = {
    [TO_WIRE]: () => {
      // The second call must not overwrite what the outer one has written.
      encode("x".repeat(10_000));
      return { tag: "test/nested", data: encode(inner).slice() };
    },
  };
  const value = { before: [inner], nested, after: [inner, inner] };

  const restored = decode(encode(value)) as Record<string, unknown[]>;

  assertEquals(restored.before, [inner]);
  assertEquals(restored.nested, [inner, inner]);
  assertEquals(restored.after, [inner, inner]);
  assert(restored.after?.[0] === restored.before?.[0]);
});

Deno.test("encode() overwrites nothing that hooks have encoded", () => {
  registerTag("test/large", (data) => data);
  const handles = [1, 2, 3].map((fill) => ({
    [TO_WIRE]: () => ({
      tag: "test/large",
      // Not a copy: bytes that would be gone with a scratch buffer for all.
      data: encode(new Uint8Array(50_000).fill(fill)),
    }),
  }));
  for (const { parts } of [encodeParts(handles), encodeParts(handles)]) {
    const message = new Uint8Array(parts.flatMap((part) => [...part]));
    const restored = decode(message) as Uint8Array[];
    assertEquals(
      restored.map((bytes) => (decode(bytes) as Uint8Array)[49_999]),
      [1, 2, 3],
    );
  }
});

Deno.test("encode() reads the target, and decode() the source, for handles only", () => {
  const reason = new EncodingError("Cannot send handles here");
  const refusing = {
    get target(): never {
      throw reason;
    },
    get source(): never {
      throw reason;
    },
  };
  let revived = 0;
  registerTag("test/counted", () => revived++);
  const handle = { [TO_WIRE]: () => ({ tag: "test/counted", data: 0 }) };

  assertEquals(decode(encode([1, {}], refusing), refusing), [1, {}]);
  assert(assertThrows(() => encode([handle], refusing)) === reason);
  const bytes = encode([handle]);
  assert(assertThrows(() => decode(bytes, refusing)) === reason);
  assertEquals(revived, 0);
});

Deno.test("encode() and decode() take handles of some tags only, if they are told which", () => {
  const tags = new Set(["test/other"]);
  const error = assertThrows(
    () => encode({ a: new Handle(1) }, { tags }),
    EncodingError,
    "a test/handle",
  ) as EncodingError;
  assertEquals(error.path, "value.a");
  const bytes = encode([new Handle(1)]).slice();
  let revived = 0;
  registerTag("test/counted", () => revived++);
  const counted = encode({
    [TO_WIRE]: () => ({ tag: "test/counted", data: 0 }),
  }).slice();
  for (const message of [bytes, counted]) {
    assertThrows(() => decode(message, { tags }), EncodingError, "not known");
  }
  assertEquals(revived, 0, "no other reviver is called");
  const accepted = new Set(["test/handle"]);
  encode(new Handle(1), { tags: accepted });
  const [handle] = decode(bytes, { tags: accepted }) as Handle[];
  assertEquals(handle!.id, 1);
});

Deno.test("decode() revives nothing of a message if it is told to look first", () => {
  const calls: string[] = [];
  registerTag("known", (data) => {
    calls.push(`revived ${data}`);
    return data;
  });
  const known = (data: string) => ({
    [TO_WIRE]: () => ({ tag: "known", data }),
  });
  class Hooked {}
  registerClass(Hooked, {
    name: "test/Hooked",
    encode: () => null,
    decode: () => calls.push("hooked"),
  });
  const unknown = { [TO_WIRE]: () => ({ tag: "nobody knows", data: 0 }) };
  const look = (message: Uint8Array) => ({
    beforeHandle(index: number) {
      if (index > 0) return;
      calls.push("looked");
      decodeMessage(message, { scouts: true });
    },
  });

  const good = encode([known("a"), { b: known("b") }]);
  assertEquals(decodeMessage(good, look(good)), ["a", { b: "b" }]);
  assertEquals(calls, ["looked", "revived a", "revived b"]);

  calls.length = 0;
  const bad = encode([known("a"), new Hooked(), { b: unknown }]);
  const error = assertThrows(() => decodeMessage(bad, look(bad)));
  assertEquals(unknownTag(error), "nobody knows");
  assertEquals(calls, ["looked"]);

  calls.length = 0;
  // Nothing is copied for that.
  const large = encode([known("a"), new Uint8Array([1, 2, 3]), [0.5, 1.5]]);
  const allocate = () => {
    throw new Error("It asks for memory to keep");
  };
  decodeMessage(large, { scouts: true, allocate });
  assertThrows(() => decodeMessage(large, { allocate }), Error, "asks for");
  assertEquals(decodeMessage(large, look(large)), [
    "a",
    new Uint8Array([1, 2, 3]),
    [0.5, 1.5],
  ]);

  calls.length = 0;
  const plain = encode([1, { b: 2 }]);
  assertEquals(decodeMessage(plain, look(plain)), [1, { b: 2 }]);
  assertEquals(calls, []);
});
