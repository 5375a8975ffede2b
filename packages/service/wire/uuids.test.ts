import { expect, test } from "bun:test";
import { create, type DescMessage, isMessage, type Message } from "@bufbuild/protobuf";
import { allServices } from "../../../tests/kit/edge.ts";
import { PlaceOrderRequestSchema } from "../../api/gen/bodega/order/v1/order_pb.ts";
import { CheckAvailabilityRequestSchema } from "../../api/gen/bodega/stock/v1/stock_pb.ts";
import { lowerUuids } from "./uuids.ts";

const ID = "0195ABCD-0000-7000-8000-00000000ABCD";

test("UUIDs in a request are written in lower case, in lists of messages too, and what is no UUID stays as it is", () => {
  const request = create(PlaceOrderRequestSchema, {
    requestId: "Key-As-The-Client-Wrote-It",
    lines: [
      { productId: ID, quantity: 1 },
      { productId: ID.toLowerCase(), quantity: 2 },
    ],
  });
  lowerUuids(PlaceOrderRequestSchema, request);
  expect(request.requestId).toBe("Key-As-The-Client-Wrote-It");
  expect(request.lines.map(({ productId }) => productId)).toEqual([ID.toLowerCase(), ID.toLowerCase()]);
  const asked = create(CheckAvailabilityRequestSchema, { lines: [{ productId: ID }] });
  lowerUuids(CheckAvailabilityRequestSchema, asked);
  expect(asked.lines[0]?.productId).toBe(ID.toLowerCase());
});

test("every id in every request is a UUID by its proto, and so is written in one way", async () => {
  const ids: string[] = [];
  const unseen: string[] = [];
  for (const { methods } of await allServices()) {
    for (const { input } of methods) {
      const request = filled(input);
      ids.push(...upperCaseIds(input, request));
      lowerUuids(input, request);
      unseen.push(...upperCaseIds(input, request));
    }
  }
  expect(ids).toContain("bodega.order.v1.WatchOrderRequest.order_id");
  expect(unseen).toEqual([]);
});

/** Every string field ending in _id has the same upper-case UUID, but a request's own key, which is the client's to spell; lists have one item. */
function filled(desc: DescMessage): Message {
  const message = create(desc);
  for (const field of desc.fields) {
    const name = field.name;
    const value = field.message && field.fieldKind !== "map" ? filled(field.message) : isId(name) ? ID : undefined;
    if (value === undefined || field.oneof) continue;
    Reflect.set(message, field.localName, field.fieldKind === "list" ? [value] : value);
  }
  return message;
}

function isId(name: string): boolean {
  return /_ids?$/.test(name) && name !== "request_id";
}

function upperCaseIds(desc: DescMessage, message: Message): string[] {
  return desc.fields.flatMap((field) => {
    const values = [Reflect.get(message, field.localName) as unknown].flat();
    return values.flatMap((value) =>
      field.message && isMessage(value)
        ? upperCaseIds(field.message, value)
        : value === ID && isId(field.name)
          ? [`${desc.typeName}.${field.name}`]
          : [],
    );
  });
}
