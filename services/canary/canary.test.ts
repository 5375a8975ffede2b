import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { Code } from "@connectrpc/connect";
import { SumCalculated } from "../../packages/api/facts.ts";
import { CanaryService } from "../../packages/api/gen/bodega/canary/v1/canary_pb.ts";
import { openDatabase } from "../../packages/database/database.ts";
import { collectFacts, factMessage, type Told, tell } from "../../tests/kit/messages.ts";
import { refusal } from "../../tests/kit/refusal.ts";
import { type System, startSystem } from "../../tests/kit/system.ts";
import { readConfig } from "./config.ts";
import { measureTotals } from "./get-totals.ts";
import { settleOldSums } from "./settle-sums.ts";

setDefaultTimeout(60_000);
const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);
const NOTHING_WRONG = { missing: 0n, duplicated: 0n };

let system: System;
let told: Told[];
beforeAll(async () => {
  system = await startSystem({ services: ["canary"] });
  told = await collectFacts(system, [SumCalculated]);
});
afterAll(() => system.close());

const anyone = () => system.as("anonymous", CanaryService);
const totals = () => system.as("admin", CanaryService).getTotals({});

test("anyone is answered the sum, who added it up, and the id under which it is delivered", async () => {
  const reply = await anyone().calculateSum({ a: 20n, b: 22n });
  expect(reply).toMatchObject({ sum: 42n, instance: expect.stringContaining(`${process.pid}`) });
  await system.settle();
  expect(told.at(-1)).toMatchObject({
    type: "sum.calculated",
    key: reply.sumId,
    body: { sumId: reply.sumId, a: 20n, b: 22n, sum: 42n, instance: reply.instance },
  });
});

test.each([
  [INT64_MAX, 0n],
  [INT64_MIN, 0n],
  [INT64_MAX, INT64_MIN],
  [INT64_MIN + 1n, -1n],
])("%p and %p are within 64 bits", async (a, b) => {
  expect((await anyone().calculateSum({ a, b })).sum).toBe(a + b);
});

test.each([
  [INT64_MAX, 1n],
  [INT64_MIN, -1n],
  [INT64_MAX, INT64_MAX],
  [INT64_MIN, INT64_MIN],
])("%p and %p are refused, and leave nothing behind", async (a, b) => {
  await system.settle();
  const [before, facts] = [await totals(), told.length];
  expect(await refusal(anyone().calculateSum({ a, b }))).toMatchObject({
    code: Code.OutOfRange,
    reason: "SUM_OUT_OF_RANGE",
  });
  await system.settle();
  expect(await totals()).toEqual(before);
  expect(told).toHaveLength(facts);
});

test("whatever is acknowledged is delivered once, and the running total is the sum of all sums, beyond 64 bits too", async () => {
  await system.settle();
  const before = await totals();
  const sums = Array.from({ length: 100 }, (_, n) => ({ a: INT64_MAX - BigInt(n), b: BigInt(n) }));
  await Promise.all(sums.map((sum) => anyone().calculateSum(sum)));
  await system.settle();
  const after = await totals();
  expect(after).toMatchObject(NOTHING_WRONG);
  expect(after.oldestUndelivered).toBeUndefined();
  expect(after.acknowledged - before.acknowledged).toBe(100n);
  expect(after.delivered).toBe(after.acknowledged);
  expect(BigInt(after.deliveredTotal) - BigInt(before.deliveredTotal)).toBe(100n * INT64_MAX);
  expect(after.deliveredTotal).toBe(after.acknowledgedTotal);
});

test("a fact that is delivered again changes nothing", async () => {
  const message = factMessage(system, SumCalculated, { sumId: system.random.id(), sum: 5n });
  await tell(system, message);
  const before = await totals();
  await tell(system, message, message);
  expect(await totals()).toEqual(before);
  await system.app("canary").sql`delete from arrivals where sum_id = ${message.key}`;
});

test("poison is parked, and the sums beside it arrive", async () => {
  const before = await totals();
  await Promise.all([
    anyone().calculateSum({ a: 1n, b: 1n }),
    tell(system, factMessage(system, SumCalculated, { sumId: "none", sum: 5n })),
    anyone().calculateSum({ a: 2n, b: 2n }),
  ]);
  await system.settle();
  const after = await totals();
  expect(after).toMatchObject(NOTHING_WRONG);
  expect(after.delivered - before.delivered).toBe(2n);
  const parked = await system.app("canary").sql`select key, error from parked where key = 'none'`;
  expect(parked).toMatchObject([{ key: "none", error: expect.stringContaining('expected a UUID, found "none"') }]);
});

// What the meter is for: each of these is planted here, past the rules that keep it from happening.
test("a sum whose fact was lost is missing, and gets older", async () => {
  const before = await totals();
  const { sql } = system.app("canary");
  const sumId = system.random.id();
  await sql`insert into sums values (${sumId}, 3, 4, 7, 'nobody', ${system.clock.now()})`;
  await system.advance(61_500);
  expect(await totals()).toMatchObject({
    acknowledged: before.acknowledged + 1n,
    delivered: before.delivered,
    missing: 1n,
    duplicated: 0n,
    oldestUndelivered: { seconds: 61n, nanos: 500_000_000 },
  });
  await sql`delete from sums where sum_id = ${sumId}`;
});

test("a sum that had its effect twice is a duplicate, and so is one that nobody was ever answered", async () => {
  const { sumId } = await anyone().calculateSum({ a: 3n, b: 4n });
  await system.settle();
  const before = await totals();
  // Another id: the inbox takes it for another fact.
  await tell(system, factMessage(system, SumCalculated, { sumId, sum: 7n }));
  await tell(system, factMessage(system, SumCalculated, { sumId: system.random.id(), sum: 7n }));
  const after = await totals();
  expect(after).toMatchObject({ missing: 0n, duplicated: 2n, delivered: before.delivered });
  expect(BigInt(after.deliveredTotal) - BigInt(after.acknowledgedTotal)).toBe(14n);
});

test("the totals are an admin's", async () => {
  expect(await refusal(system.as(system.newCustomer(), CanaryService).getTotals({}))).toMatchObject({
    code: Code.PermissionDenied,
  });
});

test("sums that came out as they went in are forgotten after an hour, and still counted; what is wrong is kept", async () => {
  const { sql } = system.app("canary");
  await anyone().calculateSum({ a: 1n, b: 2n });
  await system.settle();
  const before = await totals();
  const wrong =
    await sql`select from sums full join arrivals using (sum_id) where times is distinct from 1 or a is null`;
  system.clock.advance(3_600_001);
  await settleOldSums(system.app("canary"));
  expect(await totals()).toEqual(before);
  expect(await sql`select from sums full join arrivals using (sum_id)`).toHaveLength(wrong.length);
  await settleOldSums(system.app("canary"));
  expect(await totals()).toEqual(before);
});

test("a forgotten sum that comes once more is a duplicate", async () => {
  const { sumId } = await anyone().calculateSum({ a: 1n, b: 2n });
  await system.settle();
  system.clock.advance(3_600_001);
  await settleOldSums(system.app("canary"));
  const before = await totals();
  await tell(system, factMessage(system, SumCalculated, { sumId, sum: 3n }));
  expect((await totals()).duplicated).toBe(before.duplicated + 1n);
});

test("its totals are metrics", async () => {
  const { acknowledged, missing } = await totals();
  const { body } = await system.app("canary").metrics.expose();
  expect(body).toContain(`bodega_canary_sums{state="acknowledged"} ${acknowledged}`);
  expect(body).toContain(`bodega_canary_sums{state="missing"} ${missing}`);
  expect(body).toContain("bodega_canary_oldest_undelivered_seconds 0");
});

test("of a database that is away there are no figures, not even old ones", async () => {
  const app = system.app("canary");
  const figures = async () => {
    const { canarySums, canaryOldest } = app.metrics;
    return (await Promise.all([canarySums.get(), canaryOldest.get()])).map(({ values }) => values.length);
  };
  await measureTotals(app);
  expect(await figures()).toEqual([4, 1]);
  const away = openDatabase("postgres://127.0.0.1:1/none", "canary");
  await measureTotals({ ...app, sql: away.sql });
  expect(await figures()).toEqual([0, 0]);
  await away.close();
  await measureTotals(app);
  expect(await figures()).toEqual([4, 1]);
});

test("what is wrong with its variables is told by name", () => {
  expect(readConfig({})).toEqual({ probe: undefined });
  expect(readConfig({ CANARY_EVERY: "5s", PORT: "9000" })).toEqual({
    probe: { everyMs: 5_000, edgeUrl: "http://127.0.0.1:9000" },
  });
  expect(readConfig({ CANARY_EVERY: "2m", PUBLIC_URL: "https://shop.example" }).probe?.edgeUrl).toBe(
    "https://shop.example",
  );
  expect(() => readConfig({ CANARY_EVERY: "5" })).toThrow(
    "CANARY_EVERY must be a duration such as 5s, of at least 100ms, found 5",
  );
  expect(() => readConfig({ CANARY_EVERY: "1ms" })).toThrow("CANARY_EVERY");
  expect(() => readConfig({ CANARY_EVERY: "5s", CANARY_URL: "edge" })).toThrow("CANARY_URL");
});
