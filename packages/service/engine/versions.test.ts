// An old and a new version of a service side by side: what only one of them knows is neither parked nor passed over.
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { eventually } from "../../../tests/kit/eventually.ts";
import { type TestPorts, testPorts } from "../../../tests/kit/ports.ts";
import type { FactEnvelope } from "../../api/envelope.ts";
import { OrderCompleted, OrderCreated, PaymentCaptured } from "../../api/facts.ts";
import { DecideHold, PaymentDeadline } from "../../api/jobs.ts";
import type { Fact } from "../../api/messages.ts";
import { tellHearing } from "../../database/hearing.ts";
import { type Does, does, type Hears, on, service } from "../service.ts";
import { shareHearing } from "./hearing.ts";
import { type Ports, type Running, runService } from "./runtime.ts";
import { giveUpUnknown } from "./unknown.ts";

setDefaultTimeout(60_000);
const DAY_MS = 86_400_000;
const running: Running[] = [];
afterEach(async () => {
  for (const each of running.splice(0)) await each.close();
});

async function start(ports: Ports, { hears = [], does = [] }: { hears?: Hears[]; does?: Does[] }): Promise<Running> {
  const started = await runService(service({ name: "order", config: {}, answers: [], hears, does }), ports);
  running.push(started);
  await started.react();
  return started;
}

/** A handler that writes down what it was given, as `who` and the message's key and type. */
function noted(got: string[], who: string) {
  return (fact: Fact): Hears => on(fact, (_app, { key, type }) => void got.push(`${who} ${key} ${type}`));
}

function told({ type, topic, schema }: Fact, key: string): FactEnvelope {
  return {
    ...{ id: crypto.randomUUID(), type, topic, key, source: "bodega/order", time: new Date("2026-01-05T08:00:00Z") },
    ...{ traceparent: `00-${"1".repeat(32)}-${"2".repeat(16)}-01`, correlationId: "test" },
    body: toBinary(schema, create(schema)),
  };
}

async function count({ app }: Running, table: string): Promise<number> {
  const [row] = await app.sql`select count(*)::int as count from ${app.sql(table)}`;
  return Number(row?.["count"]);
}

describe("jobs", () => {
  test("that only the new version knows are left to it, however busy it is", async () => {
    const { ports, again } = await testPorts();
    const done = new Set<string>();
    const [begun, busy, byTheOld] = [
      Promise.withResolvers<void>(),
      Promise.withResolvers<void>(),
      Promise.withResolvers<void>(),
    ];
    const old = await start(ports, { does: [does(PaymentDeadline, () => byTheOld.resolve())] });
    const work = does(DecideHold, async (_app, { body }) => {
      if (body.holdId === "first") {
        begun.resolve();
        await busy.promise;
      }
      done.add(body.holdId);
    });
    const next = await start(again(), { does: [does(PaymentDeadline, () => {}), work] });
    const ask = (holdId: string) =>
      next.app.record((tx) => tx.enqueue(DecideHold, { holdId, orderId: crypto.randomUUID() }));
    await ask("first");
    await begun.promise;
    for (let each = 0; each < 40; each++) await ask(String(each));
    // The old version goes on with what it knows, past what it does not.
    await old.app.record((tx) => tx.enqueue(PaymentDeadline, { orderId: crypto.randomUUID(), step: 0 }));
    await byTheOld.promise;
    busy.resolve();
    await eventually(async () => (await count(old, "jobs")) === 0);
    expect([done.size, await count(old, "parked")]).toEqual([41, 0]);
  });

  test("that no version knows stay to be seen for a day, and are parked then", async () => {
    const { ports, clock } = await testPorts();
    const another = Promise.withResolvers<void>();
    const old = await start(ports, { does: [does(PaymentDeadline, () => another.resolve())] });
    await old.app.record((tx) => tx.enqueue(DecideHold, { holdId: "7", orderId: crypto.randomUUID() }));
    await old.app.record((tx) => tx.enqueue(PaymentDeadline, { orderId: crypto.randomUUID(), step: 0 }));
    await another.promise;
    await eventually(async () => (await count(old, "jobs")) <= 1);
    const known = { jobs: [PaymentDeadline.type], facts: [], heard: [] };
    clock.advance(DAY_MS - 1);
    await giveUpUnknown(old.app, known);
    expect([(await old.backlog()).due, await count(old, "parked")]).toEqual([1n, 0]);
    clock.advance(2);
    await giveUpUnknown(old.app, known);
    expect([(await old.backlog()).due, await count(old, "parked")]).toEqual([0n, 1]);
    expect(await old.app.sql`select error from parked`).toMatchObject([
      { error: expect.stringContaining(DecideHold.type) },
    ]);
  });
});

describe("facts", () => {
  async function sideBySide(old: Fact[], next: Fact[]) {
    const { ports, again, lines } = await testPorts();
    const got: string[] = [];
    const former = await start(ports, { hears: old.map(noted(got, "old")) });
    const latter = await start(again(), { hears: next.map(noted(got, "new")) });
    return {
      ports,
      got,
      lines,
      former,
      latter,
      leave: (who: Running) => running.splice(running.indexOf(who), 1)[0]?.close(),
    };
  }

  test("that only the new version hears are kept for it by the old one, in the order of their key", async () => {
    const { ports, got, lines } = await sideBySide([OrderCreated], [OrderCreated, OrderCompleted]);
    expect(lines.map(({ event }) => event)).toContain("hearing.more");
    await ports.events.publish([
      told(OrderCreated, "a"),
      told(OrderCompleted, "a"),
      told(OrderCreated, "a"),
      told(OrderCreated, "b"),
    ]);
    await eventually(() => got.length === 4);
    // It was the old one that read them all.
    expect(got).toContain("old a order.created");
    expect(got.filter((each) => each.includes(" a ")).map((each) => each.split(" ")[2])).toEqual([
      "order.created",
      "order.completed",
      "order.created",
    ]);
    expect(got.filter((each) => each.includes("completed"))).toEqual(["new a order.completed"]);
  });

  test("of a topic that only the new version hears are not passed over either", async () => {
    const { ports, got } = await sideBySide([OrderCreated], [OrderCreated, PaymentCaptured]);
    await ports.events.publish([told(PaymentCaptured, "p"), told(OrderCreated, "a")]);
    await eventually(() => got.length === 2);
    expect(got).toContain("new p payment.captured");
  });

  test("of a version that was taken back hold nothing up when it is forgotten, and are discarded after a day", async () => {
    const { ports, got, former, latter, leave } = await sideBySide([OrderCreated], [OrderCreated, OrderCompleted]);
    await leave(latter);
    await ports.events.publish([told(OrderCompleted, "a"), told(OrderCreated, "a")]);
    await eventually(async () => (await count(former, "jobs")) === 2);
    expect(got).toEqual([]);
    await former.app.sql`update hearing set seen_at = seen_at - interval '1 hour' where type = ${OrderCompleted.type}`;
    await eventually(async () => (await count(former, "jobs")) === 1);
    expect(got).toEqual(["old a order.created"]);
    expect(await former.app.sql`select type from jobs`).toMatchObject([{ type: OrderCompleted.type }]);
    const later = {
      ...former.app,
      clock: { ...former.app.clock, now: () => new Date(former.app.clock.now().getTime() + DAY_MS + 1) },
    };
    await giveUpUnknown(later, { jobs: [], facts: [OrderCreated.type], heard: [OrderCreated.type] });
    expect([await count(former, "jobs"), await count(former, "parked"), await count(former, "discarded")]).toEqual([
      0, 0, 1,
    ]);
  });
});

describe("what others hear", () => {
  const hears = [noted([], "own")(OrderCreated)];
  const others = [{ type: "order.shipped", topic: "order" }];
  const share = ({ ports: { database, log } }: TestPorts, staleMs: number) =>
    shareHearing({ name: "mail", hears, does: [] }, database.sql, log, staleMs);

  test("is learned while the process runs", async () => {
    const ports = await testPorts();
    const hearing = await share(ports, 60_000);
    expect(hearing.known().heard).toEqual(["order.created", ""]);
    await tellHearing(ports.ports.database.sql, others);
    await eventually(() => hearing.known().heard.includes("order.shipped"));
    await hearing.close();
    await ports.ports.database.close();
  });

  test("is not guessed by a process that cannot ask", async () => {
    const ports = await testPorts();
    const hearing = await share(ports, 0);
    await Bun.sleep(1);
    expect(() => hearing.known()).toThrow("expected to know what other processes of mail hear");
    await hearing.close();
    await ports.ports.database.close();
  });
});
