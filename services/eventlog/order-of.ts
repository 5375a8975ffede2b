import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import * as facts from "../../packages/api/facts.ts";
import { isUuid } from "../../packages/time/ids.ts";

/** The number of the field order_id, for every type of fact that has one. */
const ORDER_FIELDS = new Map(
  Object.values(facts).flatMap(({ type, schema }): [string, number][] => {
    const field = schema.fields.find(({ name }) => name === "order_id");
    return field ? [[type, field.number]] : [];
  }),
);

/** The order that a fact is about. Reads the body no further than it must, and takes what it cannot read for a fact about none. */
export function orderOf(type: string, body: Uint8Array): string | null {
  const wanted = ORDER_FIELDS.get(type);
  if (wanted === undefined) return null;
  const id = textAt(body, wanted);
  return id !== undefined && isUuid(id) ? id.toLowerCase() : null;
}

function textAt(body: Uint8Array, wanted: number): string | undefined {
  try {
    const reader = new BinaryReader(body);
    while (reader.pos < reader.len) {
      const [field, wire] = reader.tag();
      if (field === wanted && wire === WireType.LengthDelimited) return reader.string();
      reader.skip(wire, field);
    }
    return undefined;
  } catch {
    return undefined; // The journal takes what nobody can read as well: then least of all may anything be missing.
  }
}
