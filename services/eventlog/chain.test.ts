import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import * as facts from "../../packages/api/facts.ts";
import { SEED } from "../../tests/kit/seed.ts";
import { createSigner, type Entry, GENESIS, hashOf, type Place } from "./chain.ts";
import { orderOf } from "./order-of.ts";

const ORDER = "01890000-0000-7000-8000-0000000000aa";

const entry: Entry = {
  sequence: 1n,
  event_id: "01890000-0000-7000-8000-000000000001",
  type: "order.paid",
  source: "bodega/order",
  subject: ORDER,
  time: new Date("2026-01-05T08:00:00.123Z"),
  recorded_at: new Date("2026-01-05T08:00:01Z"),
  traceparent: "00-11111111111111111111111111111111-2222222222222222-01",
  correlation_id: "test",
  order_id: ORDER,
  body: Uint8Array.of(1, 2, 3),
};

test("the hash is what docs/event-log.md says, so that anybody can compute it", () => {
  const number = (value: bigint) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64BE(value);
    return bytes;
  };
  const sized = (bytes: Uint8Array) => {
    const size = Buffer.alloc(4);
    size.writeUInt32BE(bytes.length);
    return Buffer.concat([size, bytes]);
  };
  const { event_id, type, source, subject, traceparent, correlation_id } = entry;
  const text = (value: string) => sized(Buffer.from(value));
  const bytes = Buffer.concat([
    Buffer.alloc(32),
    number(1n),
    ...[event_id, type, source, subject].map(text),
    number(1767600000123n),
    number(1767600001000n),
    ...[traceparent, correlation_id, ORDER].map(text),
    sized(entry.body),
  ]);
  expect(Buffer.from(hashOf(GENESIS.hash, entry))).toEqual(createHash("sha256").update(bytes).digest());
});

test("every part of an entry is in its hash, and so is the hash before", () => {
  const others: Entry[] = [
    { ...entry, sequence: 2n },
    { ...entry, event_id: ORDER },
    { ...entry, type: "order.paie" },
    { ...entry, source: "bodega/orde" },
    { ...entry, subject: `${ORDER} ` },
    { ...entry, time: new Date(entry.time.getTime() + 1) },
    { ...entry, recorded_at: new Date(entry.recorded_at.getTime() + 1) },
    { ...entry, traceparent: "" },
    { ...entry, correlation_id: "tesu" },
    { ...entry, order_id: null },
    { ...entry, body: Uint8Array.of(1, 2, 4) },
  ];
  expect(others).toHaveLength(Object.keys(entry).length);
  const hashes = others.map((each) => Buffer.from(hashOf(GENESIS.hash, each)).toString("hex"));
  const own = Buffer.from(hashOf(GENESIS.hash, entry)).toString("hex");
  const elsewhere = Buffer.from(hashOf(new Uint8Array(32).fill(1), entry)).toString("hex");
  expect(new Set([...hashes, own, elsewhere]).size).toBe(others.length + 2);
});

test("text cannot be moved from one part to the next unseen", () => {
  const texts = ["type", "source", "subject"] as const;
  fc.assert(
    fc.property(fc.array(fc.string(), { minLength: 6, maxLength: 6 }), (values) => {
      const of = (from: number) => Object.fromEntries(texts.map((name, index) => [name, values[from + index] ?? ""]));
      const [a, b] = [
        { ...entry, ...of(0) },
        { ...entry, ...of(3) },
      ];
      const same = texts.every((name) => a[name] === b[name]);
      return same === Buffer.from(hashOf(GENESIS.hash, a)).equals(hashOf(GENESIS.hash, b));
    }),
    { seed: SEED },
  );
});

test("a place is signed by the journal's key only, and as what it is", () => {
  const [ours, theirs] = [createSigner("a secret of ours"), createSigner("a secret of theirs")];
  const place: Place = {
    sequence: 7n,
    hash: new Uint8Array(32).fill(7),
    recorded_at: new Date("2026-01-05T08:00:00Z"),
  };
  const signature = ours.sign("checkpoint", place);
  expect(ours.verify("checkpoint", place, signature)).toBe(true);
  // An old checkpoint is not the end, whoever says so.
  expect(ours.verify("head", place, signature)).toBe(false);
  expect(ours.verify("checkpoint", { ...place, sequence: 8n }, signature)).toBe(false);
  expect(ours.verify("checkpoint", { ...place, hash: new Uint8Array(32) }, signature)).toBe(false);
  expect(ours.verify("checkpoint", place, theirs.sign("checkpoint", place))).toBe(false);
  expect(ours.verify("checkpoint", place, new Uint8Array())).toBe(false);
});

test("without a secret nothing is signed", () => {
  expect(() => createSigner(undefined).sign("head", GENESIS)).toThrow("EVENTLOG_SECRET");
});

test("the order of a fact is found in its body, whatever its key, and nothing is found where none is", () => {
  const bytesOf = <F extends (typeof facts)[keyof typeof facts]>(fact: F, init: object) =>
    // Every one of these bodies has the fields that are given.
    toBinary(fact.schema as never, create(fact.schema as never, init as never));
  const about = Object.values(facts).filter(({ schema }) => schema.fields.some(({ name }) => name === "order_id"));
  expect(about.length).toBeGreaterThan(15);
  for (const fact of about)
    expect([fact.type, orderOf(fact.type, bytesOf(fact, { orderId: ORDER.toUpperCase() }))]).toEqual([
      fact.type,
      ORDER,
    ]);
  expect(orderOf("user.registered", bytesOf(facts.UserRegistered, { userId: ORDER }))).toBeNull();
  expect(orderOf("order.paid", bytesOf(facts.OrderPaid, { orderId: "none" }))).toBeNull();
  expect(orderOf("order.teleported", bytesOf(facts.OrderPaid, { orderId: ORDER }))).toBeNull();
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => orderOf("order.paid", bytes) === null),
    { seed: SEED },
  );
});
