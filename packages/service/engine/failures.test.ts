import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { eventually } from "../../../tests/kit/eventually.ts";
import { testPorts } from "../../../tests/kit/ports.ts";
import { OrderCreated } from "../../api/facts.ts";
import { OrderCreatedSchema } from "../../api/gen/bodega/order/v1/events_pb.ts";
import { DeliverMail, WorkTicket } from "../../api/jobs.ts";
import type { Body } from "../../api/messages.ts";
import { JOBS } from "../../database/story.ts";
import { drivenClock } from "../../time/clock.ts";
import type { App } from "../app.ts";
import { does, doesMany, effect, type Message, on, type Service, service } from "../service.ts";
import { LEASE_MS } from "./lease.ts";
import { type Running, runService } from "./runtime.ts";

setDefaultTimeout(30_000);
/** Of what is taken for a bug. */
const TRIES_MAX = 5;
const running: Running[] = [];
afterEach(async () => {
  for (const each of running.splice(0)) await each.close();
});

function definition(parts: Partial<Service> & { name: string }): Service {
  return service({ config: {}, answers: [], hears: [], does: [], ...parts });
}

async function run(parts: Partial<Service> & { name: string }) {
  const test = await testPorts();
  const started = await runService(definition(parts), test.ports);
  await started.react();
  running.push(started);
  return { app: started.app, ...test };
}

const count = async (app: App, table: string) =>
  Number((await app.sql.unsafe(`select count(*) as count from ${table}`))[0]?.["count"]);
const enqueue = (app: App, ticketId: string, at?: Date) =>
  app.record((tx) => tx.enqueue(WorkTicket, { ticketId }, at ? { at } : undefined));

describe("jobs", () => {
  test("a job for later is done when business time has come, not before, and is forgotten with its effect", async () => {
    const done: string[] = [];
    const { app, clock } = await run({
      name: "kitchen",
      does: [
        does(WorkTicket, (_app: App, { body }: Message<Body<typeof WorkTicket>>) => void done.push(body.ticketId)),
      ],
    });
    await enqueue(app, "soup", new Date(clock.now().getTime() + 86_400_000));
    clock.advance(86_399_999);
    await enqueue(app, "now");
    await eventually(() => done.length === 1);
    expect(done).toEqual(["now"]);
    clock.advance(1);
    await eventually(() => done.length === 2);
    await eventually(async () => (await count(app, "jobs")) === 0);
  });

  test("a job that fails is tried again, later each time, and parked after the last try, while its neighbours are done", async () => {
    let tries = 0;
    const done: string[] = [];
    const { app, clock } = await run({
      name: "kitchen",
      does: [
        does(WorkTicket, (_app: App, { body: { ticketId } }: Message<Body<typeof WorkTicket>>) => {
          if (ticketId === "burnt") {
            tries += 1;
            throw new Error("it burns every time");
          }
          done.push(ticketId);
        }),
      ],
    });
    await app.transact(async (tx) => {
      for (const ticketId of ["first", "burnt", "last"]) tx.enqueue(WorkTicket, { ticketId });
    });
    await eventually(() => new Set(done).size === 2);
    await eventually(async () => {
      clock.advance(30_000);
      return (await count(app, "parked")) === 1;
    });
    const [parked] = await app.sql`select attempts, error from parked`;
    expect(parked).toMatchObject({ attempts: TRIES_MAX, error: "it burns every time" });
    // Once in the set that failed, then alone at each attempt.
    expect(tries).toBe(TRIES_MAX * 2);
    expect(await count(app, "jobs")).toBe(0);
  });

  test("what went wrong is told in a text that can be kept, whatever the outside has said", async () => {
    let tries = 0;
    const { app } = await run({
      name: "kitchen",
      does: [
        does(WorkTicket, () => {
          tries += 1;
          throw new ConnectError("550 no\0such mailbox", Code.InvalidArgument);
        }),
      ],
    });
    await enqueue(app, "x");
    await eventually(async () => (await count(app, "parked")) === 1);
    const [parked] = await app.sql`select attempts, error from parked`;
    expect(parked).toMatchObject({ attempts: 1, error: "[invalid_argument] 550 no\uFFFDsuch mailbox" });
    expect(await count(app, "jobs")).toBe(0);
    // In its set, and alone.
    expect(tries).toBe(2);
  });

  test("a job refused as invalid is parked at its first try", async () => {
    const { app } = await run({
      name: "kitchen",
      does: [
        does(WorkTicket, () => {
          throw new ConnectError("no such thing", Code.InvalidArgument);
        }),
      ],
    });
    await enqueue(app, "x");
    await eventually(async () => (await count(app, "parked")) === 1);
    expect((await app.sql`select attempts from parked`)[0]).toMatchObject({ attempts: 1 });
  });

  test("a thousand that are due at once are done in few sets", async () => {
    const sets: number[] = [];
    const { app, clock } = await run({
      name: "kitchen",
      does: [doesMany(WorkTicket, async (_app, _tx, messages) => void sets.push(messages.length))],
    });
    const at = new Date(clock.now().getTime() + 1_000);
    await app.transact(async (tx) => {
      for (let index = 0; index < 1_000; index++) tx.enqueue(WorkTicket, { ticketId: `${index}` }, { at });
    });
    clock.advance(1_000);
    await eventually(() => sets.reduce((sum, size) => sum + size, 0) === 1_000);
    expect(sets.length).toBeLessThanOrEqual(12);
  });
});

/** For a process that was stopped time stands still: the clock of one that was not. */
const aLeaseLater = (app: App) => drivenClock(new Date(app.clock.now().getTime() + LEASE_MS + 1));

describe("effects", () => {
  const deliver = (perform: (id: string, attempt: number) => Promise<string>, settled: string[]) =>
    effect(DeliverMail, {
      perform: (_app, { id }, { number }) => perform(id, number),
      settle: (_app, _message, result: string) => void settled.push(result),
    });

  test("an effect whose process stopped half-way is performed again by another, under the same id, and settled once", async () => {
    const ids: string[] = [];
    const settled: string[] = [];
    const half = Promise.withResolvers<string>();
    const answering = (answer: string | Promise<string>) => (id: string) => {
      ids.push(id);
      return Promise.resolve(answer);
    };
    const { app, again } = await run({ name: "mail", does: [deliver(answering(half.promise), settled)] });
    await app.record((tx) => tx.enqueue(DeliverMail, { mailId: "m" }));
    await eventually(() => ids.length === 1);
    const second = await runService(definition({ name: "mail", does: [deliver(answering("second"), settled)] }), {
      ...again(),
      clock: aLeaseLater(app),
    });
    await second.react();
    running.push(second);
    await eventually(() => settled.length > 0);
    expect(ids).toHaveLength(2);
    expect(ids[0]).toBe(ids[1] ?? "");
    // The first comes back to life with its answer: the job is gone, so nothing is settled again.
    half.resolve("first");
    await eventually(() => running[0]?.busy() === 0);
    expect(settled).toEqual(["second"]);
    expect(await count(app, "jobs")).toBe(0);
  });

  test("an effect whose job cannot be decoded is parked at once, and its service is not asked to give it up", async () => {
    const { app } = await run({ name: "mail", does: [deliver(async () => "never", [])] });
    await app.record((tx) =>
      tx.insert(JOBS, {
        bucket: 0,
        job_id: app.random.id(),
        kind: "job",
        target: null,
        type: DeliverMail.type,
        key: "m",
        body: Buffer.from([255]),
        source: "/bodega/mail",
        time: app.clock.now(),
        due_at: app.clock.now(),
        traceparent: "",
        correlation_id: "",
      }),
    );
    await eventually(async () => (await count(app, "parked")) === 1);
    expect((await app.sql`select error from parked`)[0]?.["error"]).toContain("is not a bodega.mail.v1.DeliverMail");
  });

  test("an effect that keeps failing is tried again, parked, and reported as given up", async () => {
    const numbers: number[] = [];
    const given: string[] = [];
    const { app, clock } = await run({
      name: "mail",
      does: [
        effect(DeliverMail, {
          async perform(_app, _message, { number }) {
            numbers.push(number);
            throw new Error("nobody is home");
          },
          settle: () => undefined,
          fail: (_app, _message, error) => void given.push(error),
        }),
      ],
    });
    await app.record((tx) => tx.enqueue(DeliverMail, { mailId: "m" }));
    await eventually(async () => {
      clock.advance(30_000);
      return (await count(app, "parked")) === 1;
    });
    expect(numbers).toEqual([1, 2, 3, 4, 5]);
    expect(given).toEqual(["nobody is home"]);
  });
});

describe("facts", () => {
  const heard = (handle: (orderId: string) => void) =>
    on(OrderCreated, (_app: App, { body }: Message<Body<typeof OrderCreated>>) => handle(body.orderId));

  test("a fact that fails is tried again later, with the later facts of its key behind it and the others past it", async () => {
    const got: string[] = [];
    let broken = true;
    const { app, clock, ports } = await run({
      name: "mail",
      hears: [
        heard((orderId) => {
          if (orderId === "a" && broken) throw new Error("not yet");
          got.push(orderId);
        }),
      ],
    });
    const tell = (...keys: string[]) => ports.events.publish(keys.map((key) => message(key, app.random.id())));
    await tell("a", "b", "a", "c");
    await eventually(() => got.length >= 2);
    expect(got).toEqual(["b", "c"]);
    await tell("a", "d");
    await eventually(() => got.length >= 3);
    expect(got).toEqual(["b", "c", "d"]);
    broken = false;
    await eventually(async () => {
      clock.advance(1_000);
      return got.length === 6;
    });
    expect(got.slice(3)).toEqual(["a", "a", "a"]);
    expect(await count(app, "parked")).toBe(0);
  });

  test("a message without a type is parked, one that others hear is let pass", async () => {
    const got: string[] = [];
    const { app, ports } = await run({ name: "mail", hears: [heard((orderId) => got.push(orderId))] });
    const [nameless, foreign, ours] = ["a", "b", "c"].map((key) => message(key, app.random.id()));
    if (!nameless || !foreign || !ours) throw new Error("three messages were made");
    await ports.events.publish([{ ...nameless, type: "" }, { ...foreign, type: "order.paid" }, ours]);
    await eventually(async () => got.length === 1 && (await count(app, "parked")) === 1);
    expect(got).toEqual(["c"]);
    expect((await app.sql`select key, error from parked`)[0]).toMatchObject({
      key: "a",
      error: expect.stringContaining("no type"),
    });
  });
});

function message(key: string, id: string) {
  const body = toBinary(OrderCreatedSchema, create(OrderCreatedSchema, { orderId: key }));
  return {
    id,
    type: "order.created",
    topic: "order",
    key,
    source: "bodega/test",
    time: new Date(0),
    body,
    traceparent: "",
    correlationId: "",
  };
}
