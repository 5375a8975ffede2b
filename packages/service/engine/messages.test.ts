import { afterEach, expect, setDefaultTimeout, spyOn, test } from "bun:test";
import { create, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { eventually } from "../../../tests/kit/eventually.ts";
import { testPorts } from "../../../tests/kit/ports.ts";
import type { Envelope, FactEnvelope } from "../../api/envelope.ts";
import { OrderCreated, StockReserved } from "../../api/facts.ts";
import { WorkTicket } from "../../api/jobs.ts";
import { listParked, replayParked } from "../../database/parked.ts";
import type { App } from "../app.ts";
import { does, type Message, on, onAny, onMany, type Service, service } from "../service.ts";
import { type Running, runService } from "./runtime.ts";

setDefaultTimeout(30_000);
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
  await started.react();
  running.push(started);
  return { app: started.app, ...test };
}

function created(orderId: string, digit: string): FactEnvelope {
  return {
    ...{ id: crypto.randomUUID(), type: "order.created", topic: "order", key: orderId, source: "bodega/order" },
    ...{
      time: new Date("2026-01-04T07:00:00.123Z"),
      body: toBinary(OrderCreated.schema, create(OrderCreated.schema, { orderId, lines: [{ quantity: 1 }] })),
    },
    ...{ traceparent: `00-${digit.repeat(32)}-${digit.repeat(16)}-01`, correlationId: `request-${digit}` },
  };
}

const attributes = <B>({ body: _, ...rest }: Envelope<B>): Partial<Envelope> => {
  const { id, type, source, key, time, traceparent, correlationId } = rest;
  return { id, type, source, key, time, traceparent, correlationId };
};
const count = async (app: App, table: string) =>
  Number((await app.sql.unsafe(`select count(*) as count from ${table}`))[0]?.["count"]);

test("a fact that fails, is parked and replayed reaches its handler with all that it was told with", async () => {
  const seen: Partial<Envelope>[] = [];
  let broken = true;
  const { app, clock, ports } = await run({
    hears: [
      on(OrderCreated, (_app, message) => {
        seen.push(attributes(message));
        if (broken) throw new Error("not yet");
      }),
    ],
  });
  const fact = created("a", "1");
  await ports.events.publish([fact]);
  await eventually(async () => {
    clock.advance(30_000);
    return (await count(app, "parked")) === 1;
  });
  const [parked] = await listParked(app.sql, null, 1);
  expect(parked).toMatchObject({ ...attributes(fact), body: fact.body });
  broken = false;
  await replayParked(app.sql, [fact.id], clock.now());
  await eventually(async () => (await count(app, "jobs")) + (await count(app, "parked")) === 0);
  expect(seen.length).toBeGreaterThan(2);
  for (const each of seen) expect(each).toEqual(attributes(fact));
});

test("a fact is decoded once for all who hear it in a process, and none of them can change it", async () => {
  const heard: MessageShape<typeof OrderCreated.schema>[] = [];
  const hears = [on(OrderCreated, (_app, { body }) => void heard.push(body))];
  const fact = created("a", "1");
  for (const { ports } of [await run({ hears }), await run({ hears })]) await ports.events.publish([fact]);
  await eventually(() => heard.length === 2);
  const [one, other] = heard;
  if (!one || !other) throw new Error("expected two");
  expect(one === other).toBe(true);
  expect(() => Object.assign(one, { orderId: "b" })).toThrow(TypeError);
  expect(() => one.lines.splice(0, 1)).toThrow(TypeError);
});

test("what is published is an envelope and nothing else, whoever has written the fact", async () => {
  const { app, ports } = await run({});
  const publish = spyOn(ports.events, "publish");
  const facts = () => publish.mock.calls.flatMap(([sent]) => sent);
  await app.record((story) => story.emit(OrderCreated, { orderId: "a" }));
  await eventually(() => facts().length === 1);
  // As another process does, which wakes nobody here.
  await app.sql`insert into outbox (id, aggregatetype, aggregateid, type, payload, time, traceparent, correlation_id)
    select gen_random_uuid(), 'order', 'b', 'order.created', '', now(), '00-a-b-01', 'theirs'`;
  await eventually(() => facts().length === 2);
  const [own, theirs] = facts().map((fact) => Object.keys(fact).sort());
  expect(own).toEqual(["body", "correlationId", "id", "key", "source", "time", "topic", "traceparent", "type"]);
  expect(theirs).toEqual(own);
});

test("what a set causes carries the context of the message that caused it, as do its log lines", async () => {
  const told: FactEnvelope[] = [];
  const jobs: Partial<Envelope>[] = [];
  const { lines, ports } = await run({
    hears: [
      onMany(OrderCreated, async (app: App, _tx, messages) => {
        for (const { body, tx } of messages.toReversed()) {
          tx.emit(StockReserved, { orderId: body.orderId });
          tx.enqueue(WorkTicket, { ticketId: body.orderId });
          app.log.in(tx.context).info("reserved");
        }
      }),
    ],
    does: [does(WorkTicket, (_app, message) => void jobs.push(attributes(message)))],
  });
  ports.events.subscribe("test", ["stock"], async (facts) => void told.push(...facts));
  const facts = ["1", "2", "3"].map((digit) => created(`order-${digit}`, digit));
  await ports.events.publish(facts);
  await eventually(() => told.length === 3 && jobs.length === 3);
  for (const { key, correlationId, traceparent } of facts) {
    const carried = { source: "bodega/kitchen", correlationId, traceparent };
    expect(told.find((each) => each.key === key)).toMatchObject(carried);
    expect(jobs.find((each) => each.key === key)).toMatchObject(carried);
  }
  const logged = lines.filter(({ event }) => event === "reserved").map((line) => line["correlation_id"]);
  expect(logged).toEqual(["request-3", "request-2", "request-1"]);
});

test("who hears any fact hears those of every type, as they are on the wire, once", async () => {
  const heard: Message[] = [];
  const { ports, app } = await run({ hears: [onAny(async (_app, _tx, messages) => void heard.push(...messages))] });
  const unheardOf = { ...created("b", "2"), type: "order.teleported", body: Buffer.from([255, 0]) };
  const sum = { ...created("c", "3"), type: "sum.calculated", topic: "user-events" };
  const nameless = { ...created("d", "4"), type: "" };
  const facts = [created("a", "1"), unheardOf, sum];
  await ports.events.publish([...facts, unheardOf, nameless]);
  await ports.events.publish([unheardOf]);
  await eventually(async () => (await count(app, "parked")) === 1 && (await ports.events.undelivered()) === 0);
  expect(heard.map((message) => ({ ...attributes(message), body: message.body }))).toEqual(
    facts.map((fact) => ({ ...attributes(fact), body: fact.body })),
  );
  expect(await listParked(app.sql, null, 9)).toMatchObject([
    { key: "d", error: "[invalid_argument] the message has no type" },
  ]);
});

test("a job that the version before has enqueued is done, under the id it gave", async () => {
  const seen: Partial<Envelope>[] = [];
  const { app, clock } = await run({
    does: [does(WorkTicket, (_app, message) => void seen.push(attributes(message)))],
  });
  const body = toBinary(WorkTicket.schema, create(WorkTicket.schema, { ticketId: "t" }));
  await app.sql`insert into jobs (bucket, job_id, kind, type, key, body, due_at, traceparent, request_id)
    values (0, ${crypto.randomUUID()}, 'job', 'kitchen.work-ticket', 't', ${body}, ${clock.now()}, '', 'old')`;
  await eventually(() => seen.length === 1);
  expect(seen[0]).toMatchObject({ key: "t", source: "", time: clock.now(), correlationId: "old" });
});
