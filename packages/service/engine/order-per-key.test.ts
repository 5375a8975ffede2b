// Facts of one key in their order, whatever happens to the first: tried again, parked, replayed.
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { eventually } from "../../../tests/kit/eventually.ts";
import { testPorts } from "../../../tests/kit/ports.ts";
import { OrderCreated } from "../../api/facts.ts";
import { OrderCreatedSchema } from "../../api/gen/bodega/order/v1/events_pb.ts";
import { DeliverMail } from "../../api/jobs.ts";
import type { Body } from "../../api/messages.ts";
import { replayParked } from "../../database/parked.ts";
import type { App } from "../app.ts";
import { does, type Message, on, service } from "../service.ts";
import { type Running, runService } from "./runtime.ts";

setDefaultTimeout(60_000);
const running: Running[] = [];
afterEach(async () => {
  for (const each of running.splice(0)) await each.close();
});

/** A service that writes down what it hears, but for what is broken; facts are called after their ids. */
async function hearing() {
  const { ports, clock } = await testPorts();
  const got: string[] = [];
  const broken = new Set<string>();
  /** The connection is lost in the middle of it. */
  const outage = { on: false, met: 0 };
  const names = new Map<string, string>();
  /** What handlers of these wait for. */
  const holds = new Map<string, Promise<void>>();
  const hear = on(OrderCreated, async (_app: App, { id }: Message<Body<typeof OrderCreated>>) => {
    const name = names.get(id) ?? id;
    if (outage.on) {
      outage.met += 1;
      throw Object.assign(new Error("terminating connection due to administrator command"), { code: "57P01" });
    }
    if (broken.has(name)) throw new Error(`${name} is broken`);
    got.push(name);
    await holds.get(name);
  });
  const work = does(
    DeliverMail,
    (_app: App, { body }: Message<Body<typeof DeliverMail>>) => void got.push(body.mailId),
  );
  const started = await runService(
    service({ name: "mail", config: {}, answers: [], hears: [hear], does: [work] }),
    ports,
  );
  await started.react();
  running.push(started);
  const { app } = started;
  return {
    app,
    clock,
    got,
    broken,
    outage,
    holds,
    async tell(...told: string[]) {
      const messages = told.map((name) => message(name.slice(0, 1), app.random.id()));
      for (const [at, { id }] of messages.entries()) names.set(id, told[at] ?? "");
      await ports.events.publish(messages);
    },
    async parked() {
      const rows = await app.sql<{ parked_id: string }[]>`select parked_id from parked order by sequence`;
      return rows.map(({ parked_id }) => ({ id: parked_id, name: names.get(parked_id) ?? "" }));
    },
    waiting: async () =>
      Number((await app.sql`select count(*)::int as count from jobs where kind = 'fact'`)[0]?.["count"]),
  };
}

test("facts that wait behind one that is tried again are handled after it, though they are due before", async () => {
  const { got, broken, tell, clock, waiting } = await hearing();
  broken.add("a1");
  await tell("a1", "a2", "b1", "a3");
  await eventually(async () => got.includes("b1") && (await waiting()) === 3);
  // a1 is due later and later, the others at once: for some tries nobody passes it.
  for (let tries = 0; tries < 2; tries++) {
    clock.advance(1_000);
    await tell(`c${tries}`);
    await eventually(() => got.includes(`c${tries}`));
  }
  expect(got.filter((name) => name.startsWith("a"))).toEqual([]);
  broken.clear();
  await eventually(async () => {
    clock.advance(30_000);
    return (await waiting()) === 0;
  });
  expect(got.filter((name) => name.startsWith("a"))).toEqual(["a1", "a2", "a3"]);
});

test("when the first is parked those behind it are parked too, and those that come later; a replay gives them back in order", async () => {
  const { app, got, broken, tell, clock, parked, waiting } = await hearing();
  broken.add("a1");
  await tell("a1", "a2");
  await eventually(async () => {
    clock.advance(86_400_000);
    return (await parked()).length > 0 && (await waiting()) === 0;
  });
  await tell("a3", "b1");
  // Both are one transaction, whose end a handler does not see.
  await eventually(async () => got.includes("b1") && (await parked()).length === 3);
  expect((await parked()).map(({ name }) => name)).toEqual(["a1", "a2", "a3"]);
  expect(got).toEqual(["b1"]);
  broken.clear();
  const ids = (await parked()).map(({ id }) => id);
  expect(await replayParked(app.sql, ids.toReversed(), clock.now())).toHaveLength(3);
  await eventually(async () => {
    clock.advance(1_000);
    return got.length === 4;
  });
  expect(got).toEqual(["b1", "a1", "a2", "a3"]);
});

test("what arrives while the one before it has its last try is parked behind it", async () => {
  const { app, got, broken, holds, tell, clock, parked } = await hearing();
  broken.add("a1");
  await tell("a1");
  const attempts = async () => (await app.sql`select attempts from jobs where kind = 'fact'`)[0]?.["attempts"];
  await eventually(async () => {
    const before = await attempts();
    if (before < 4) clock.advance(30_000);
    return before === 4;
  });
  const hold = Promise.withResolvers<void>();
  holds.set("b1", hold.promise);
  await tell("a2", "b1");
  await eventually(() => got.includes("b1"));
  clock.advance(30_000);
  await app.record((tx) => tx.enqueue(DeliverMail, { mailId: "looked" }));
  await eventually(() => got.includes("looked"));
  hold.resolve();
  await eventually(async () => {
    clock.advance(1_000);
    return (await parked()).length === 2 || got.includes("a2");
  });
  expect((await parked()).map(({ name }) => name)).toEqual(["a1", "a2"]);
});

test("while the database is away nothing is put aside: the fact is brought again until it is there", async () => {
  const { got, tell, parked, waiting, outage } = await hearing();
  outage.on = true;
  await tell("a1");
  await eventually(() => outage.met >= 3);
  expect([await waiting(), await parked()]).toEqual([0, []]);
  outage.on = false;
  await eventually(() => got.length === 1);
  expect(got).toEqual(["a1"]);
});

function message(key: string, id: string) {
  const body = toBinary(OrderCreatedSchema, create(OrderCreatedSchema, { orderId: key }));
  const about = { type: "order.created", topic: "order", source: "bodega/test", time: new Date(0) };
  return { ...about, id, key, body, traceparent: "", correlationId: "" };
}
