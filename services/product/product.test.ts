import { expect, test } from "bun:test";
import { array, assert, constantFrom, integer, option, property, record, string } from "fast-check";
import { readConfig } from "./config.ts";
import { apply, type Changes, changesOf, fold, type Happening, next, type Product } from "./product.ts";

const ID = "019b0000-0000-7000-8000-000000000001";
const DAY = new Date("2026-01-05T08:00:00Z");

const created: Happening = {
  productId: ID,
  version: 1n,
  type: "product.created",
  changes: changesOf({
    sku: "MUG",
    name: "Mug",
    description: "Blue",
    price: { currencyCode: "EUR", minorUnits: 1_490n },
    collections: ["goods"],
    prepared: false,
    initialStock: 7,
  }),
  at: DAY,
};

test("a product is what its events add up to, at any of its versions", async () => {
  const change = record(
    {
      name: string({ minLength: 1 }),
      description: string(),
      price: record({ currencyCode: constantFrom("EUR", "USD"), minorUnits: integer({ min: 0 }).map(String) }),
      collections: array(string(), { maxLength: 3 }),
    },
    { requiredKeys: [] },
  );
  await assert(
    property(array(change, { maxLength: 20 }), option(integer({ min: 0, max: 20 })), (changes, archivedAfter) => {
      const events = [created];
      const states = [apply(undefined, created)];
      for (const [index, each] of changes.entries()) {
        const last = states.at(-1) as Product; // Starts with one.
        const type = index === archivedAfter ? "product.archived" : "product.updated";
        const event = next(last, type, each as Changes, new Date(DAY.getTime() + index));
        events.push(event);
        states.push(apply(last, event));
      }
      for (const [index, state] of states.entries()) expect(fold(events.slice(0, index + 1))).toEqual(state);
      expect(states.at(-1)?.archived).toBe(archivedAfter !== null && archivedAfter < changes.length);
    }),
  );
});

test("fields that became empty or false are changes, absent fields are none", () => {
  const before = fold([created]) as Product; // It has an event.
  const after = apply(before, next(before, "product.updated", { description: "", collections: [] }, DAY));
  expect(after).toMatchObject({ description: "", collections: [], name: "Mug", priceMinorUnits: 1_490n, version: 2n });
});

test("a gap or a repetition in the stream is a bug, not a product", () => {
  expect(() => fold([created, { ...created, version: 3n }])).toThrow("expected version 2, found 3");
  expect(() => fold([created, created])).toThrow("expected version 2, found 1");
});

test("a clock that steps back does not reorder history", () => {
  const product = fold([created]) as Product; // It has an event.
  expect(next(product, "product.updated", {}, new Date(DAY.getTime() - 60_000)).at).toEqual(DAY);
});

test("DEMO is on unless it is off, and nothing else", () => {
  expect(readConfig({})).toEqual({ demo: true });
  expect(readConfig({ DEMO: "off" })).toEqual({ demo: false });
  expect(() => readConfig({ DEMO: "yes" })).toThrow("DEMO must be on or off, found yes");
});
