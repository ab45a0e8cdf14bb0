import { assert, assertEquals, assertThrows } from "@std/assert";
import { decode, encode, registerClass } from "../../codec/mod.ts";
import * as libraryErrors from "../../errors.ts";
import { assertSame } from "./_same.ts";

function roundTrip<T>(value: T): T {
  return decode(encode(value)) as T;
}

const BUILT_IN = [
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
];

for (const Class of BUILT_IN) {
  Deno.test(`decode() restores a ${Class.name}`, () => {
    const error = new Class("no such thing");
    const restored = roundTrip(error);
    assert(Error.isError(restored));
    assertEquals(Object.getPrototypeOf(restored), Class.prototype);
    assertEquals(restored.message, "no such thing");
    assertEquals(restored.stack, error.stack);
    assertEquals(Object.keys(restored), []);
    assertEquals(
      Object.getOwnPropertyNames(restored).sort(),
      Object.getOwnPropertyNames(error).sort(),
    );
  });
}

Deno.test("decode() restores an AggregateError with its errors", () => {
  const restored = roundTrip(
    new AggregateError([new TypeError("a"), "b"], "both", { cause: "c" }),
  );
  assert(restored instanceof AggregateError);
  assert(restored.errors[0] instanceof TypeError);
  assertEquals(restored.errors[1], "b");
  assertEquals(restored.cause, "c");
  assertEquals(Object.keys(restored), []);
});

Deno.test("decode() restores a SuppressedError with both errors", () => {
  const restored = roundTrip(
    new SuppressedError(new TypeError("a"), new RangeError("b"), "both"),
  );
  assert(restored instanceof SuppressedError);
  assert(restored.error instanceof TypeError);
  assert(restored.suppressed instanceof RangeError);
});

Deno.test("decode() restores a DOMException with name and code", () => {
  const error = new DOMException("too late", "TimeoutError");
  const restored = roundTrip(error);
  assert(restored instanceof DOMException);
  assertEquals(restored.name, "TimeoutError");
  assertEquals(restored.message, "too late");
  assertEquals(restored.code, DOMException.TIMEOUT_ERR);
  assertEquals(restored.stack, error.stack);
});

for (const [name, Class] of Object.entries(Deno.errors)) {
  Deno.test(`decode() restores a Deno.errors.${name}`, () => {
    const restored = roundTrip(new Class("no"));
    assertEquals(Object.getPrototypeOf(restored), Class.prototype);
    assertEquals(restored.name, name);
    assertEquals(restored.message, "no");
  });
}

Deno.test("decode() restores the code of an error of the runtime", () => {
  const error = assertThrows(
    () => Deno.readTextFileSync("/no/such/file"),
    Deno.errors.NotFound,
  );
  const restored = roundTrip(error);
  assert(restored instanceof Deno.errors.NotFound);
  assertEquals(Reflect.get(restored, "code"), "ENOENT");
});

Deno.test("decode() restores each error of this library", () => {
  for (const [name, Class] of Object.entries(libraryErrors)) {
    const error = Reflect.construct(Class, ["a", "b", "c"]) as Error;
    const restored = roundTrip(error);
    assertEquals(restored.constructor.name, name);
    assertEquals(Object.entries(restored), Object.entries(error));
    assertEquals(restored.stack, error.stack);
  }
});

Deno.test("decode() restores own fields, and whether they show", () => {
  const error = Object.assign(new Error("a"), { code: "E_A", status: 404 });
  Object.defineProperty(error, "name", { value: "Hidden" });
  Object.defineProperty(error, "message", { value: "shown", enumerable: true });

  const restored = roundTrip(error);

  assertEquals(Object.entries(restored).sort(), [
    ["code", "E_A"],
    ["message", "shown"],
    ["status", 404],
  ]);
  assertEquals(restored.name, "Hidden");
});

Deno.test("decode() restores chains and cycles of causes", () => {
  const inner = new RangeError("inner");
  const outer = new Error("outer", { cause: inner });
  inner.cause = outer;

  const restored = roundTrip(outer);

  assert(restored.cause instanceof RangeError);
  assert(restored.cause.cause === restored);
});

Deno.test("decode() gives an error of an unknown class the nearest known one", () => {
  class HttpError extends TypeError {
    override name = "HttpError";
    constructor(readonly status: number) {
      super(`status ${status}`);
    }
  }
  const restored = roundTrip(new HttpError(404));
  assertEquals(Object.getPrototypeOf(restored), TypeError.prototype);
  assertEquals(restored.name, "HttpError");
  assertEquals(restored.message, "status 404");
  assertEquals(restored.status, 404);
});

Deno.test("decode() keeps what an unknown class computes", () => {
  class Computed extends Error {
    override get name() {
      return "Computed";
    }
    override get message() {
      return "made on reading";
    }
    get code() {
      return "E_COMPUTED";
    }
  }
  const restored = roundTrip(new Computed());
  assertEquals(restored.name, "Computed");
  assertEquals(restored.message, "made on reading");
  assertEquals(restored.code, "E_COMPUTED");
  assertEquals(Object.keys(restored), []);
});

Deno.test("decode() restores an error of a registered class without its constructor", () => {
  let constructed = 0;
  class QuotaError extends RangeError {
    constructor(readonly limit: number, readonly used: number) {
      super(`used ${used} of ${limit}`);
      constructed++;
    }
    get excess() {
      return this.used - this.limit;
    }
  }
  registerClass(QuotaError);
  const error = new QuotaError(3, 5);

  const restored = roundTrip(error);

  assert(restored instanceof QuotaError);
  assert(Error.isError(restored));
  assertEquals(restored.excess, 2);
  assertEquals(restored.message, "used 5 of 3");
  assertEquals(restored.stack, error.stack);
  assertEquals(constructed, 1);
});

Deno.test("decode() restores an error made the old way", () => {
  // deno-lint-ignore no-explicit-any -- as such code is written
  function OldError(this: any, message: string) {
    this.message = message;
  }
  OldError.prototype = Object.create(RangeError.prototype, {
    name: { value: "OldError" },
  });
  const restored = roundTrip(Reflect.construct(OldError, ["a"]) as Error);
  assert(restored instanceof RangeError);
  assertEquals(restored.name, "OldError");
  assertEquals(restored.message, "a");
});

Deno.test("decode() restores an error without a stack", () => {
  const error = new Error("a");
  delete error.stack;
  assertSame(roundTrip(error), structuredClone(error));
});

Deno.test("decode() takes an error class that is not there for a plain Error", () => {
  const bytes = encode(new Deno.errors.NotFound("a"));
  const place = bytes.indexOf("N".charCodeAt(0));
  bytes[place] = "X".charCodeAt(0);
  const restored = decode(bytes) as Error;
  assertEquals(Object.getPrototypeOf(restored), Error.prototype);
  assertEquals(restored.name, "NotFound");
});
