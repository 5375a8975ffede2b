// What seed 0's two services got wrong. Each test begins with it.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { Code } from "@connectrpc/connect";
import type { FactEnvelope } from "../../packages/api/envelope.ts";
import { SumCalculated } from "../../packages/api/facts.ts";
import { CanaryService } from "../../packages/api/gen/bodega/canary/v1/canary_pb.ts";
import { eventually } from "../kit/eventually.ts";
import { type LiveEdge, startLiveEdge } from "../kit/live-edge.ts";
import { refusal } from "../kit/refusal.ts";
import { type System, startSystem } from "../kit/system.ts";

setDefaultTimeout(60_000);
let system: System;
let edge: LiveEdge;
beforeAll(async () => {
  system = await startSystem({ services: ["canary"] });
  edge = await startLiveEdge(system);
});
afterAll(async () => {
  await edge.close();
  await system.close();
});

const sums = () => system.as("anonymous", CanaryService);
const totals = () => system.as("admin", CanaryService).getTotals({});

async function rowsOf(table: string): Promise<number> {
  const { sql } = system.app("canary");
  const [row] = await sql<{ count: bigint }[]>`select count(*) as count from ${sql(table)}`;
  return Number(row?.count ?? -1);
}

test("s0-01 the outbox fails and the call succeeds; s0-02 nothing is atomic with it: without the fact there is no sum", async () => {
  const { sql } = system.app("canary");
  const before = await rowsOf("sums");
  await sql.unsafe(`
    create function no_outbox() returns trigger language plpgsql as $$ begin raise exception 'the outbox is broken'; end $$;
    create trigger no_outbox before insert on outbox for each row execute function no_outbox()`);
  expect(await refusal(sums().calculateSum({ a: 1n, b: 2n }))).toMatchObject({ code: Code.Internal });
  expect(await rowsOf("sums")).toBe(before);
  await sql.unsafe("drop function no_outbox() cascade");
  expect((await sums().calculateSum({ a: 1n, b: 2n })).sum).toBe(3n);
  expect(await rowsOf("sums")).toBe(before + 1);
});

test("s0-03 rows of the outbox are never marked and never pruned: what was told is gone from it", async () => {
  await sums().calculateSum({ a: 3n, b: 4n });
  await system.settle();
  expect(await rowsOf("outbox")).toBe(0);
});

test("s0-04 sums wrap around: beyond 64 bits there is none", async () => {
  const most = 2n ** 63n - 1n;
  expect((await sums().calculateSum({ a: most, b: 0n })).sum).toBe(most);
  expect(await refusal(sums().calculateSum({ a: most, b: 1n }))).toMatchObject({ code: Code.OutOfRange });
});

test("s0-05 JSON that cannot be read becomes ten plus twenty: it is refused", async () => {
  const before = await rowsOf("sums");
  for (const body of ["{", '{"a": "ten"}', "[]", '{"a": 1.5}']) {
    const headers = { "content-type": "application/json" };
    const answer = await fetch(`${edge.url}/v1/sums`, { method: "POST", headers, body });
    expect([body, answer.status]).toEqual([body, 400]);
  }
  expect(await rowsOf("sums")).toBe(before);
});

test("s0-06 a record that comes twice is added twice: it counts once", async () => {
  const records: FactEnvelope[] = [];
  system.platform.events.subscribe("museum", [SumCalculated.topic], async (batch) => {
    records.push(...batch);
  });
  await system.settle();
  const before = await totals();
  await sums().calculateSum({ a: 20n, b: 22n });
  await eventually(() => records.length > 0);
  await system.platform.events.publish(records);
  await system.platform.events.publish(records);
  await system.settle();
  const after = await totals();
  expect(BigInt(after.deliveredTotal) - BigInt(before.deliveredTotal)).toBe(42n);
  expect(after.delivered - before.delivered).toBe(1n);
  expect(after.duplicated).toBe(0n);
});
