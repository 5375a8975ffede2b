import { expect, test } from "bun:test";
import type { FactEnvelope } from "../api/envelope.ts";
import { isUuid } from "../time/ids.ts";
import { type KafkaRecord, toFact, toRecord } from "./kafka-message.ts";

const FACT: FactEnvelope = {
  id: "01938e2a-0000-7000-8000-000000000001",
  type: "order.created",
  topic: "order",
  key: "01938e2a-0000-7000-8000-0000000000ff",
  source: "bodega/order",
  time: new Date("2026-01-05T08:00:00.123Z"),
  body: Buffer.from([0, 255, 10]),
  traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01`,
  correlationId: "request-ä",
};
const PLACE = { offset: "7", timestamp: "1767600000000" };

/** Kafka gives headers back as bytes. */
function travelled(record: ReturnType<typeof toRecord>): KafkaRecord {
  const headers = Object.entries(record.headers).map(([name, value]) => [name, Buffer.from(value)]);
  return { ...PLACE, key: Buffer.from(record.key), value: record.value, headers: Object.fromEntries(headers) };
}

test("a fact comes back whole", () => {
  expect(toFact(travelled(toRecord(FACT)), "order", 2)).toEqual(FACT);
});

test("a body that is part of a larger buffer goes alone", () => {
  const body = new Uint8Array([1, 2, 3, 4]).subarray(1, 3);
  expect(toRecord({ ...FACT, body }).value).toEqual(Buffer.from([2, 3]));
});

test("a message of a stranger gets an id of its place, the same at every delivery, and Kafka's time", () => {
  const strange: KafkaRecord = { ...PLACE, key: null, value: null };
  const fact = toFact(strange, "order", 2);
  expect(fact).toMatchObject({ type: "", topic: "order", key: "", traceparent: "", time: new Date(1767600000000) });
  expect(fact.id).toMatch(/^[\da-f]{8}-[\da-f]{4}-5[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
  expect(toFact(strange, "order", 2).id).toBe(fact.id);
  const elsewhere = [toFact(strange, "order", 1), toFact({ ...strange, offset: "8" }, "order", 2)];
  for (const { id } of elsewhere) expect(id).not.toBe(fact.id);
});

test("a stranger's own id becomes a UUID, the same wherever it comes again, and no text holds U+0000", () => {
  const strange = (id: string, key: string): KafkaRecord => ({ ...PLACE, key, value: null, headers: { ce_id: id } });
  const fact = toFact(strange("order-4711", "a\0b"), "order", 2);
  expect(isUuid(fact.id)).toBe(true);
  expect(fact.key).toBe("a\uFFFDb");
  expect(toFact({ ...strange("order-4711", "x"), offset: "9" }, "order", 0).id).toBe(fact.id);
  expect(toFact(strange("order-4712", "a"), "order", 2).id).not.toBe(fact.id);
});

test("a stranger's key of any length, and a time that no calendar has, are brought into a shape that a database takes", () => {
  const headers = { ce_time: "-100000-01-01T00:00:00Z" };
  const fact = toFact({ ...PLACE, key: "k".repeat(100_000), value: null, headers }, "order", 2);
  expect(fact.key.length).toBeLessThanOrEqual(300);
  expect(fact.time).toEqual(new Date(1767600000000));
});
