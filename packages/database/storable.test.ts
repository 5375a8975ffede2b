import { expect, setDefaultTimeout, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { assert, asyncProperty, date, record, string } from "fast-check";
import { testDatabase } from "../../tests/kit/databases.ts";
import { SEED } from "../../tests/kit/seed.ts";
import { keep } from "./jobs.ts";
import { parkArrival } from "./parked.ts";
import { storable, storableMessage } from "./storable.ts";

setDefaultTimeout(30_000);
const MESSAGE = {
  ...{ id: "01938e2a-0000-7000-8000-000000000001", type: "order.created", source: "bodega/order", key: "" },
  ...{ time: new Date("2026-01-05T08:00:00.123Z"), traceparent: "", correlationId: "", body: Buffer.alloc(0) },
};

test.each([
  ["plain", "plain"],
  ["a\0b\0", "a\uFFFDb\uFFFD"],
  ["half \ud83d pair", "half \uFFFD pai"],
  ["12345678é", "12345678é"],
  ["123456789\u{1F354}", "123456789\uFFFD"],
  ["123456789012", "1234567890"],
])("%j becomes %j", (text, stored) => {
  expect(storable(text, 10)).toBe(stored);
});

test("whatever a message says, it can be kept and parked", async () => {
  const { database } = await testDatabase();
  const text = string({ unit: "binary", maxLength: 5_000, size: "max" });
  const said = record({ type: text, source: text, key: text, traceparent: text, correlationId: text, time: date() });
  const property = asyncProperty(said, date(), async (words, came) => {
    const message = storableMessage({ id: randomUUID(), body: Buffer.alloc(0), ...words }, came);
    await keep(database.sql, "fact", [message], new Date());
    await parkArrival(database.sql, "fact", message, { error: "unreadable", attempts: 1 }, new Date());
  });
  await assert(property, { seed: SEED, numRuns: 50, endOnFailure: true });
  await database.close();
});

test("of a word that is too long the beginning stays, and those that differ stay different", () => {
  const keyed = (key: string) => storableMessage({ ...MESSAGE, key }, new Date()).key;
  const long = "a".repeat(5_000);
  expect(keyed(long)).toStartWith("a".repeat(100));
  expect(keyed(long).length).toBeLessThanOrEqual(300);
  expect(keyed(long)).toBe(keyed(long));
  expect(keyed(`${long}b`)).not.toBe(keyed(long));
});

test.each([
  ["0000-12-31T23:59:59.999Z", "2026-01-05T08:00:00.000Z", "2026-01-05T08:00:00.000Z"],
  ["+010000-01-01T00:00:00Z", "2026-01-05T08:00:00.000Z", "2026-01-05T08:00:00.000Z"],
  ["soon", "later", "1970-01-01T00:00:00.000Z"],
  ["9999-12-31T23:59:59.999Z", "2026-01-05T08:00:00.000Z", "9999-12-31T23:59:59.999Z"],
])("of a message of %s that came at %s it is said that it happened at %s", (said, came, kept) => {
  expect(storableMessage({ ...MESSAGE, time: new Date(said) }, new Date(came)).time).toEqual(new Date(kept));
});
