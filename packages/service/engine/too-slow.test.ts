// Statements that take longer than they may, while the database is well.
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { eventually } from "../../../tests/kit/eventually.ts";
import { testPorts } from "../../../tests/kit/ports.ts";
import { OrderCreated } from "../../api/facts.ts";
import { OrderCreatedSchema } from "../../api/gen/bodega/order/v1/events_pb.ts";
import { WorkTicket } from "../../api/jobs.ts";
import type { Body } from "../../api/messages.ts";
import type { App, Tx } from "../app.ts";
import { doesMany, type Message, on, type Service, service } from "../service.ts";
import { type Running, runService } from "./runtime.ts";

setDefaultTimeout(60_000);
const STATEMENT_MS = 200;
const HOUR = 3_600_000;
const running: Running[] = [];
afterEach(async () => {
  for (const each of running.splice(0)) await each.close();
});

async function run(parts: Partial<Service>) {
  const test = await testPorts();
  const started = await runService(
    service({ name: "kitchen", config: {}, answers: [], hears: [], does: [], ...parts }),
    test.ports,
  );
  running.push(started);
  await started.react();
  return { app: started.app, ...test };
}

const parkedIn = async (app: App) =>
  (await app.sql<{ key: string; error: string }[]>`select key, error from parked`).map((row) => ({ ...row }));
const jobsIn = async (app: App) => Number((await app.sql`select count(*)::int as count from jobs`)[0]?.["count"]);

/** A statement that would take `ms`. */
async function take(tx: Tx, ms: number) {
  await tx.sql.unsafe(`set local statement_timeout = ${STATEMENT_MS}`);
  await tx.sql`select pg_sleep(${ms / 1_000})`;
}

test("a fact that is too slow keeps nobody back, is tried alone for an hour, and is parked", async () => {
  const got: string[] = [];
  const { app, ports, clock } = await run({
    hears: [
      on(OrderCreated, async (_app: App, { body, tx }: Message<Body<typeof OrderCreated>>) => {
        await take(tx, body.orderId === "slow" ? 60_000 : 0);
        got.push(body.orderId);
      }),
    ],
  });
  await ports.events.publish(["a", "slow", "b"].map(fact));
  await ports.events.publish(["c"].map(fact));
  await eventually(() => new Set(got).size === 3);
  expect(got).not.toContain("slow");
  await eventually(async () => (await jobsIn(app)) === 1);
  expect(await parkedIn(app)).toEqual([]);
  await eventually(async () => {
    clock.advance(HOUR);
    return (await parkedIn(app)).length === 1;
  });
  expect(await parkedIn(app)).toEqual([{ key: "slow", error: expect.stringContaining("statement timeout") }]);
});

test("jobs that are too slow as a set are done by fewer at a time", async () => {
  const sizes: number[] = [];
  let msARow = 0;
  let done = 0;
  const { app, clock } = await run({
    does: [
      doesMany(WorkTicket, async (_app, tx, messages) => {
        sizes.push(messages.length);
        await take(tx, msARow * messages.length);
        done += messages.length;
      }),
    ],
  });
  const storm = async () => {
    const at = new Date(clock.now().getTime() + 1_000);
    await app.transact(async (tx) => {
      for (let index = 0; index < 1_000; index++) tx.enqueue(WorkTicket, { ticketId: `${index}` }, { at });
    });
    clock.advance(1_000);
  };
  // Quick turns first, so that it claims many.
  await storm();
  await eventually(async () => (await jobsIn(app)) === 0);
  expect(Math.max(...sizes)).toBeGreaterThan(200);
  const quick = done;
  msARow = 1;
  await storm();
  await eventually(async () => {
    clock.advance(1);
    return (await jobsIn(app)) === 0;
  });
  expect({ done: done - quick, parked: await parkedIn(app) }).toEqual({ done: 1_000, parked: [] });
});

function fact(key: string) {
  const body = toBinary(OrderCreatedSchema, create(OrderCreatedSchema, { orderId: key }));
  const about = { type: "order.created", topic: "order", source: "bodega/test", time: new Date(0) };
  return { ...about, id: crypto.randomUUID(), key, body, traceparent: "", correlationId: "" };
}
