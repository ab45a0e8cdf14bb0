/**
 * Arbitrary values for property tests: graphs of everything that structured
 * cloning takes, with shared references and cycles.
 *
 * A graph is drawn as a list of nodes whose links are numbers, made in two steps:
 * first all the objects, then their content. So any node can link to any other.
 *
 * @module
 */
import fc from "fast-check";

/** Strings of any code units, most of them short, some not well-formed. */
const anyString = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: "binary", maxLength: 100 }),
  fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 80 })
    .map((units) => String.fromCharCode(...units)),
);

const awkwardKey = fc.constantFrom(
  "__proto__",
  "constructor",
  "toString",
  "length",
  "",
  "0",
  "7",
  "-1",
  "4294967295",
  "\ud800",
);

const anyNumber = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.integer({ min: -200, max: 200 }),
  fc.constantFrom(-0, NaN, Infinity, 2 ** 31, -(2 ** 31), 2 ** 53, 0x8000),
);

const primitive = fc.oneof(
  anyNumber,
  anyString,
  fc.boolean(),
  fc.bigInt(),
  fc.bigInt({ min: -200n, max: 200n }),
  fc.constantFrom(null, undefined),
);

interface Link {
  link: number;
}

/** What is in a slot: a primitive, or a link to a node. */
const slot: fc.Arbitrary<unknown> = fc.oneof(
  primitive,
  fc.record({ link: fc.nat() }),
);

const key = fc.oneof(
  fc.string({ maxLength: 8 }),
  awkwardKey,
  fc.constantFrom("id", "name", "args"),
);

const node = fc.oneof(
  {
    weight: 4,
    arbitrary: record(
      "object",
      fc.array(fc.tuple(key, slot), { maxLength: 40 }),
    ),
  },
  {
    weight: 3,
    arbitrary: record(
      "array",
      fc.array(fc.tuple(fc.boolean(), slot), { maxLength: 50 }),
    ),
  },
  {
    weight: 1,
    arbitrary: record("numbers", fc.array(anyNumber, { maxLength: 80 })),
  },
  {
    weight: 1,
    arbitrary: record("strings", fc.array(anyString, { maxLength: 60 })),
  },
  {
    weight: 1,
    arbitrary: record(
      "named array",
      fc.array(fc.tuple(key, slot), { maxLength: 40 }),
    ),
  },
  {
    weight: 2,
    arbitrary: record("map", fc.array(fc.tuple(slot, slot), { maxLength: 8 })),
  },
  { weight: 2, arbitrary: record("set", fc.array(slot, { maxLength: 8 })) },
  {
    weight: 1,
    arbitrary: record("date", fc.oneof(fc.constant(NaN), fc.integer())),
  },
  {
    weight: 1,
    arbitrary: record(
      "regexp",
      fc.tuple(
        fc.constantFrom("", "a+", "[/]", "\\n", "é"),
        fc.constantFrom("", "g", "giu", "dmsy"),
      ),
    ),
  },
  {
    weight: 1,
    arbitrary: record(
      "boxed",
      fc.oneof(anyNumber, anyString, fc.boolean(), fc.bigInt()),
    ),
  },
  { weight: 1, arbitrary: record("buffer", fc.uint8Array({ maxLength: 64 })) },
  {
    weight: 1,
    arbitrary: record(
      "resizable",
      fc.tuple(fc.uint8Array({ maxLength: 64 }), fc.nat({ max: 64 })),
    ),
  },
  {
    weight: 2,
    arbitrary: record(
      "view",
      fc.record({
        kind: fc.nat(),
        link: fc.nat(),
        offset: fc.nat({ max: 8 }),
        length: fc.option(fc.nat({ max: 16 })),
      }),
    ),
  },
  {
    weight: 1,
    arbitrary: record(
      "error",
      fc.record({
        kind: fc.nat(),
        message: fc.option(anyString),
        cause: fc.option(slot),
      }),
    ),
  },
);

function record<K extends string, T>(
  kind: K,
  content: fc.Arbitrary<T>,
): fc.Arbitrary<{ kind: K; content: T }> {
  return content.map((content) => ({ kind, content }));
}

type Node = typeof node extends fc.Arbitrary<infer N> ? N : never;

/** Values of every kind that can be cloned. */
export const anyValue: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 1, arbitrary: primitive },
  {
    weight: 9,
    arbitrary: fc.tuple(
      fc.array(node, { minLength: 1, maxLength: 24 }),
      fc.boolean(),
    ).map(([nodes, all]) => build(nodes, all)),
  },
);

/** Makes the first object, or an array of all of them. */
function build(nodes: readonly Node[], all: boolean): unknown {
  const buffers: ArrayBuffer[] = [];
  const objects = nodes.map((node) => create(node, buffers));
  const resolve = (value: unknown): unknown =>
    typeof value === "object" && value !== null
      ? objects[(value as Link).link % objects.length]
      : value;
  nodes.forEach((node, i) => fill(node, objects[i] as object, resolve));
  return all ? objects : objects[0];
}

const ERRORS = [
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
];

const VIEWS = [
  DataView,
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  BigInt64Array,
  BigUint64Array,
  Float16Array,
  Float32Array,
  Float64Array,
];

function create(node: Node, buffers: ArrayBuffer[]): object {
  switch (node.kind) {
    case "object":
      return {};
    case "map":
      return new Map();
    case "set":
      return new Set();
    case "numbers":
    case "strings":
      return node.content;
    case "array":
    case "named array":
      return [];
    case "date":
      return new Date(node.content);
    case "regexp":
      return new RegExp(...node.content);
    case "boxed":
      return Object(node.content);
    case "buffer": {
      const buffer = node.content.slice().buffer;
      buffers.push(buffer);
      return buffer;
    }
    case "resizable": {
      const [bytes, more] = node.content;
      const buffer = new ArrayBuffer(bytes.length, {
        maxByteLength: bytes.length + more,
      });
      new Uint8Array(buffer).set(bytes);
      buffers.push(buffer);
      return buffer;
    }
    case "view":
      return createView(node.content, buffers);
    case "error": {
      const { kind, message } = node.content;
      const Class = ERRORS[kind % ERRORS.length] as ErrorConstructor;
      return message === null ? new Class() : new Class(message);
    }
  }
}

function createView(
  { kind, link, offset, length }: Extract<Node, { kind: "view" }>["content"],
  buffers: ArrayBuffer[],
): ArrayBufferView {
  const View = VIEWS[kind % VIEWS.length] as Float64ArrayConstructor;
  const size = View.BYTES_PER_ELEMENT ?? 1;
  const buffer = buffers[link % buffers.length] ?? new ArrayBuffer(size * 4);
  const start = Math.min(
    offset * size,
    Math.floor(buffer.byteLength / size) * size,
  );
  const room = Math.floor((buffer.byteLength - start) / size);
  // Without a length the view must end where the buffer does, or follow it.
  const open = length === null &&
    (buffer.resizable || room * size === buffer.byteLength - start);
  return open
    ? new View(buffer, start)
    : new View(buffer, start, Math.min(length ?? room, room));
}

function fill(
  node: Node,
  object: object,
  resolve: (value: unknown) => unknown,
): void {
  switch (node.kind) {
    case "object":
      for (const [key, value] of node.content) {
        define(object, key, resolve(value));
      }
      break;
    case "array":
      (object as unknown[]).length = node.content.length;
      node.content.forEach(([present, value], i) => {
        if (present) (object as unknown[])[i] = resolve(value);
      });
      break;
    case "named array":
      for (const [key, value] of node.content) {
        if (key !== "length") define(object, key, resolve(value));
      }
      break;
    case "map":
      for (const [key, value] of node.content) {
        (object as Map<unknown, unknown>).set(resolve(key), resolve(value));
      }
      break;
    case "set":
      for (const value of node.content) {
        (object as Set<unknown>).add(resolve(value));
      }
      break;
    case "error":
      if (node.content.cause !== null) {
        Object.defineProperty(object, "cause", {
          value: resolve(node.content.cause),
          configurable: true,
          writable: true,
        });
      }
  }
}

function define(object: object, key: string, value: unknown): void {
  Object.defineProperty(object, key, {
    value,
    configurable: true,
    enumerable: true,
    writable: true,
  });
}
