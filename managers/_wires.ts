/**
 * The serializers there are.
 *
 * Runs in the client and in the server.
 *
 * @module
 */
import { jsonWire } from "./_json_wire.ts";
import { binaryWire } from "./_wire.ts";
import type { SerializerName, Wire } from "./_wire.ts";

/**
 * The serializer of a name.
 *
 * @param name The name.
 * @throws {RangeError} If there is none.
 */
export function wireNamed(name: SerializerName): Wire {
  if (name === "binary") return binaryWire;
  if (name === "json") return jsonWire;
  throw new RangeError(
    `Cannot use a manager as 'serializer' must be "binary" or "json": it is ${
      Deno.inspect(name)
    }`,
  );
}
