import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { Code } from "@connectrpc/connect";
import type { FactEnvelope } from "../../packages/api/envelope.ts";
import * as facts from "../../packages/api/facts.ts";
import { ActivityService } from "../../packages/api/gen/bodega/activity/v1/activity_pb.ts";
import { OpsService } from "../../packages/api/gen/bodega/ops/v1/ops_pb.ts";
import { CancelReason } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { factMessage, tell } from "../../tests/kit/messages.ts";
import { refusal } from "../../tests/kit/refusal.ts";
import { type System, startSystem } from "../../tests/kit/system.ts";

setDefaultTimeout(120_000);
const DATE = "2026-01-05";
const DAY_MS = 86_400_000;

let system: System;
beforeAll(async () => {
  system = await startSystem({ services: ["activity", "eventlog"], env: { EVENTLOG_KEEP_MONTHS: "1" } });
});
afterAll(() => system.close());

const admin = () => system.as("admin", ActivityService);
const sql = () => system.app("activity").sql;

/** That it was done is a fact as well: the next look finds it counted. */
async function rebuild(timeZone = "") {
  const reply = await admin().rebuildDay({ date: DATE, timeZone, reason: "a test" });
  await system.settle();
  return reply;
}

async function rows() {
  return {
    counts: (await sql()`select at, type, quantity from counts where type <> 'audit.recorded' order by at, type`).map(
      (row) => ({ ...row }),
    ),
    takings: (await sql()`select * from takings order by at, kind, reason, currency_code`).map((row) => ({ ...row })),
  };
}

const MONEY = { currencyCode: "EUR", minorUnits: 450n };

/** Of every kind that is counted apart; each at a moment of its own, over two days. */
function someFacts(count: number): FactEnvelope[] {
  return Array.from({ length: count }, (_, n) => {
    const orderId = system.random.id();
    const message = [
      factMessage(system, facts.OrderCreated, { orderId, total: MONEY }),
      factMessage(system, facts.OrderPaid, { orderId, total: MONEY, ...(n % 2 && { holdId: orderId }) }),
      factMessage(system, facts.OrderCancelled, { orderId, total: MONEY, reason: CancelReason.EXPIRED }),
      factMessage(system, facts.PaymentRefunded, { paymentId: orderId, amount: { ...MONEY, currencyCode: "CHF" } }),
      factMessage(system, facts.TicketQueued, { ticketId: orderId }),
    ][n % 5];
    if (!message) throw new Error("expected a fact");
    return {
      ...message,
      time: new Date(Date.parse(`${DATE}T00:00:00Z`) - DAY_MS / 2 + ((n * 7_919_000) % (2 * DAY_MS))),
    };
  });
}

test("a day that was right is rebuilt to the same rows, in UTC and in a zone", async () => {
  await tell(system, ...someFacts(2_300));
  const before = await rows();
  for (const zone of ["", "Asia/Kathmandu"]) {
    const { corrected, facts } = await rebuild(zone);
    expect(corrected).toBe(0);
    expect(facts).toBeGreaterThan(1_000n);
    expect(await rows()).toEqual(before);
  }
});

test("whatever was done to its rows, they are what they were, and only those of the day are touched", async () => {
  const before = await rows();
  const [start, end] = [new Date(`${DATE}T00:00:00Z`), new Date(Date.parse(`${DATE}T00:00:00Z`) + DAY_MS)];
  await sql()`update counts set quantity = quantity + 1 where type = 'order.paid' and at >= ${start} and at < ${end}`;
  await sql()`delete from counts where type = 'order.created' and at >= ${start} and at < ${end}`;
  await sql()`insert into counts values (${start}, 'order.invented', 7)`;
  await sql()`update takings set minor_units = 0 where kind = 'REFUNDED' and at >= ${start} and at < ${end}`;
  const { corrected, counts } = await rebuild();
  expect(corrected).toBeGreaterThan(0);
  expect(await rows()).toEqual(before);
  const told = (each: { counts: { type: string }[] }) => each.counts.filter(({ type }) => type !== "audit.recorded");
  expect(told({ counts })).toEqual(told(await admin().getDay({ date: DATE })));
  expect(await sql()`select 1 from rebuilt_facts`).toHaveLength(0);
});

test("facts that come while it goes on are counted once", async () => {
  const news = Array.from({ length: 12 }, () => someFacts(50));
  const telling = (async () => {
    for (const batch of news) await system.platform.events.publish(batch);
  })();
  const outcomes: string[] = [];
  while (outcomes.filter((outcome) => outcome === "rebuilt").length < 3 && outcomes.length < 100)
    outcomes.push(
      await rebuild().then(
        () => "rebuilt",
        (error: unknown) => String(error),
      ),
    );
  await telling;
  await system.settle();
  // The journal may be a little behind just then; that is all that may go wrong.
  expect(outcomes.filter((outcome) => outcome !== "rebuilt" && !outcome.includes("are not there yet"))).toEqual([]);
  const live = await rows();
  expect((await rebuild()).corrected).toBe(0);
  expect(await rows()).toEqual(live);
  const [total] = await sql()<
    { total: bigint }[]
  >`select sum(quantity)::bigint as total from counts where type <> 'audit.recorded'`;
  expect(total?.total).toBe(2_300n + 600n);
});

test("what the journal has and was not counted is counted, and then not again when it comes", async () => {
  const [late] = someFacts(1).map((message) => ({ ...message, time: new Date(`${DATE}T12:00:00Z`) }));
  if (!late) throw new Error("expected a fact");
  await tell(system, late);
  const right = await rows();
  // As if it had never come here.
  await sql()`delete from inbox where message_id = ${late.id}`;
  await sql()`delete from counts where at = '2026-01-05T12:00:00Z' and type = ${late.type}`;
  await rebuild();
  expect(await rows()).toEqual(right);
  await tell(system, late);
  expect(await rows()).toEqual(right);
});

test("while the journal lacks what was counted, nothing is touched", async () => {
  const before = await rows();
  const [counted] = someFacts(1);
  await sql()`insert into inbox (bucket, message_id, seen_at) values (0, ${counted?.id ?? ""}, ${system.clock.now()})`;
  expect(await refusal(rebuild())).toMatchObject({ code: Code.Aborted, reason: "EVENT_LOG_BEHIND", retryMs: 2_000 });
  expect(await rows()).toEqual(before);
  await sql()`delete from inbox where message_id = ${counted?.id ?? ""}`;
});

test("what is parked is no part of it, and counts once when it is replayed", async () => {
  const orderId = system.random.id();
  const time = new Date(`${DATE}T13:00:00Z`);
  const poison = { ...factMessage(system, facts.OrderCreated, { orderId }), time, body: Uint8Array.of(255, 255) };
  const behind = { ...factMessage(system, facts.OrderCompleted, { orderId }), time };
  await tell(system, poison, behind);
  const before = await rows();
  expect((await rebuild()).corrected).toBe(0);
  expect(await rows()).toEqual(before);
  const ops = system.as("admin", OpsService, "activity");
  await ops.discardParked({ service: "activity", parkedIds: [poison.id], reason: "a test" });
  await ops.replayParked({ service: "activity", parkedIds: [behind.id] });
  await system.settle();
  const quantity = async () =>
    (await sql()`select quantity from counts where at = ${time} and type = 'order.completed'`)[0]?.["quantity"];
  expect(await quantity()).toBe(1n);
  expect((await rebuild()).corrected).toBe(0);
  expect(await quantity()).toBe(1n);
});

test("a day of which the journal has dropped a part is refused", async () => {
  await system.advance(70 * DAY_MS);
  await tell(system, ...someFacts(1));
  const before = await rows();
  expect(await refusal(rebuild())).toMatchObject({ code: Code.FailedPrecondition, reason: "EVENTS_DROPPED" });
  expect(await rows()).toEqual(before);
});
