import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { eventually } from "../../../tests/kit/eventually.ts";
import { testPorts } from "../../../tests/kit/ports.ts";
import { DeliverMail } from "../../api/jobs.ts";
import { leaseEffects } from "../../database/jobs.ts";
import { replayParked } from "../../database/parked.ts";
import { type DrivenClock, drivenClock, systemClock } from "../../time/clock.ts";
import { sleep } from "../../time/wait.ts";
import type { App } from "../app.ts";
import { outcomeUnknown } from "../errors.ts";
import { type Effect, effect, service } from "../service.ts";
import { createLeases, LEASE_MS } from "./lease.ts";
import { type Ports, type Running, runService } from "./runtime.ts";

setDefaultTimeout(60_000);
const running: Running[] = [];
afterEach(async () => {
  for (const each of running.splice(0)) await each.close();
});

type Delivery = Effect<{ mailId: string }, string>;

async function worker(ports: Ports, delivery: Partial<Delivery> & Pick<Delivery, "perform">): Promise<Running> {
  // The compiler forgets that a delivery is one of DeliverMail's.
  const does = [effect(DeliverMail, { settle: () => {}, ...delivery } as never)];
  const started = await runService(service({ name: "mail", config: {}, answers: [], hears: [], does }), ports);
  running.push(started);
  await started.react();
  return started;
}

const enqueue = (app: App, ...mailIds: string[]) =>
  app.record((tx) => {
    for (const mailId of mailIds) tx.enqueue(DeliverMail, { mailId });
  });
const rows = (app: App, table: string) => app.sql.unsafe(`select * from ${table}`);
const later = (clock: DrivenClock, ms: number) => drivenClock(new Date(clock.now().getTime() + ms));
const staleOf = async ({ app }: Running) =>
  /stale_claims_total\{service="mail",type="mail.deliver"\} (\d+)/.exec((await app.metrics.expose()).body)?.[1];

/** Two workers of one job: the first is stopped in the middle of it, for which its clock stands still; the second has it when the first one's lease is over. */
async function overtaken(delivery: Partial<Delivery> = {}) {
  const { ports, clock, again } = await testPorts();
  const [first, second] = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
  const begun: string[] = [];
  const works = (name: string, half: Promise<string>) => ({
    ...delivery,
    async perform() {
      begun.push(name);
      return half;
    },
  });
  const one = await worker(ports, works("first", first.promise));
  await enqueue(one.app, "m");
  await eventually(() => begun.length === 1);
  const laterPorts = () => ({ ...again(), clock: later(clock, LEASE_MS + 1) });
  const two = await worker(laterPorts(), works("second", second.promise));
  await eventually(() => begun.length === 2);
  return { first, second, one, two, begun, laterPorts, works };
}

test("who lost its lease parks nothing, tells nobody that it failed, and is counted", async () => {
  const told: string[] = [];
  const settled: string[] = [];
  const { first, second, one } = await overtaken({
    settle: (_app, _message, result) => void settled.push(result),
    fail: (_app, _message, error) => void told.push(error),
    retrying: (_app, _message, { error }) => void told.push(error),
  });
  expect(await staleOf(one)).toBe("0");
  first.reject(new Error("the late answer of one that was stopped"));
  await eventually(() => one.busy() === 0);
  expect(await rows(one.app, "parked")).toHaveLength(0);
  expect(await rows(one.app, "jobs where error is null")).toHaveLength(1);
  second.resolve("done");
  await eventually(async () => (await rows(one.app, "jobs")).length === 0);
  expect([told, settled]).toEqual([[], ["done"]]);
  expect(await staleOf(one)).toBe("1");
});

test("who lost its lease does not shorten that of the other: nobody else begins", async () => {
  const { first, second, one, begun, laterPorts, works } = await overtaken();
  first.reject(new Error("the late answer of one that was stopped"));
  await eventually(() => one.busy() === 0);
  const third = await worker(
    { ...laterPorts(), clock: drivenClock(new Date(laterPorts().clock.now().getTime() + 5_000)) },
    works("third", second.promise),
  );
  await enqueue(third.app, "another");
  await eventually(() => begun.length === 3);
  expect(await rows(one.app, "jobs where attempts = 2")).toHaveLength(1);
  second.resolve("done");
  await eventually(async () => (await rows(one.app, "jobs")).length === 0);
});

test("who lost its lease settles nothing", async () => {
  const settled: string[] = [];
  const { first, second, one } = await overtaken({ settle: (_app, _message, result) => void settled.push(result) });
  first.resolve("late");
  await eventually(() => one.busy() === 0);
  second.resolve("done");
  await eventually(async () => (await rows(one.app, "jobs")).length === 0);
  expect(settled).toEqual(["done"]);
});

test("a message that was parked and replayed is not touched by who had it before", async () => {
  const { first, second, one, two } = await overtaken();
  await one.app.sql`with gone as (delete from jobs returning *)
    insert into parked (bucket, parked_id, sequence, kind, type, key, body, attempts, error, traceparent, parked_at)
    select bucket, job_id, sequence, kind, type, key, body, attempts, 'by hand', traceparent, due_at from gone`;
  const [parked] = await rows(one.app, "parked");
  const future = new Date(two.app.clock.now().getTime() + 86_400_000);
  expect(await replayParked(one.app.sql, [String(parked?.["parked_id"])], future)).toHaveLength(1);
  first.reject(new Error("late"));
  second.resolve("later still");
  await eventually(() => one.busy() + two.busy() === 0);
  expect(await rows(one.app, "jobs")).toMatchObject([{ attempts: 0, due_at: future }]);
});

test("a lease that is kept is nobody else's, however long the work takes, and is free when the work has ended", async () => {
  const leaseMs = 300;
  const { app, type } = await enqueued();
  const leased = (until: number) =>
    leaseEffects(app.sql, type, { now: app.clock.now(), until: app.clock.soon(until) }, 10);
  const mine = await leased(leaseMs);
  expect(mine).toHaveLength(2);
  const leases = createLeases(app, app, leaseMs);
  const lost: string[] = [];
  const ends = mine.map((row) => leases.hold(row, ({ message }) => lost.push(message)));
  for (let look = 0; look < 10; look++) {
    await sleep(leaseMs / 3);
    expect(await leased(leaseMs)).toEqual([]);
  }
  expect(lost).toEqual([]);
  for (const end of ends) end();
  await eventually(async () => (await leased(60_000)).length === 2);
});

test("work whose job has become another's is asked to end, as is work whose lease cannot be renewed", async () => {
  const leaseMs = 150;
  const { app, type, close } = await enqueued();
  const rows = await leaseEffects(app.sql, type, { now: app.clock.now(), until: app.clock.soon(leaseMs) }, 10);
  const leases = createLeases(app, app, leaseMs);
  const lost: string[][] = rows.map(() => []);
  const ends = rows.map((row, index) => leases.hold(row, ({ message }) => lost[index]?.push(message)));
  await app.sql`update jobs set fence = nextval('job_fences') where job_id = ${rows[0]?.id ?? ""}`;
  await eventually(() => lost[0]?.length !== 0);
  expect(lost[1]).toEqual([]);
  await close();
  await eventually(() => lost[1]?.length !== 0);
  expect(lost[1]?.[0]).toContain("could not be renewed");
  for (const end of ends) end();
});

test("each effect of a set has its own limit, which a neighbour that fails does not take away", async () => {
  const { ports } = await testPorts();
  const asked: string[] = [];
  const { app } = await worker(ports, {
    limitMs: 200,
    async perform(_app, { body: { mailId } }, { signal }) {
      if (mailId === "fails") throw new Error("at once");
      const { promise, reject } = Promise.withResolvers<string>();
      signal.addEventListener("abort", () => reject(asked.push(mailId) && signal.reason));
      return promise;
    },
  });
  await enqueue(app, "fails", "slow", "slower");
  await eventually(async () => (await rows(app, "jobs where trouble = 'unknown'")).length === 2);
  expect(asked.toSorted()).toEqual(["slow", "slower"]);
  const [slow] = await rows(app, "jobs where trouble = 'unknown'");
  // Nobody knows whether it happened: it is not tried again for minutes.
  expect(Number(slow?.["due_at"]) - app.clock.now().getTime()).toBeGreaterThanOrEqual(5 * 60_000);
});

test("an effect that was begun again and again without an answer is parked, and not begun once more", async () => {
  const { ports } = await testPorts();
  const begun: string[] = [];
  const given: string[] = [];
  const { app } = await worker(ports, {
    async perform(_app, { body }) {
      begun.push(body.mailId);
      return "";
    },
    fail: (_app, { body }, error) => void given.push(`${body.mailId}: ${error}`),
  });
  await app.transact(async (tx) => {
    await tx.sql`insert into jobs (bucket, job_id, kind, type, key, body, due_at, attempts, unanswered, traceparent)
      values (0, ${app.random.id()}, 'job', ${DeliverMail.type}, 'm', ${Buffer.from([10, 1, 109])}, ${app.clock.now()}, 4, 4, '')`;
    tx.enqueue(DeliverMail, { mailId: "next" });
  });
  await eventually(() => given.length === 1 && begun.length === 1);
  expect(begun).toEqual(["next"]);
  expect(given).toEqual([expect.stringMatching(/^m: .*begun 4 times/)]);
});

test("an effect that says its outcome is unknown waits for minutes, one that is away for seconds", async () => {
  const { ports } = await testPorts();
  const { app } = await worker(ports, {
    async perform(_app, { body: { mailId } }) {
      if (mailId === "unknown") throw outcomeUnknown("the connection broke after the text");
      throw Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
    },
  });
  await enqueue(app, "unknown", "away");
  await eventually(async () => (await rows(app, "jobs where trouble is not null")).length === 2);
  const waits = new Map(
    (await rows(app, "jobs")).map((row) => [row["key"], Number(row["due_at"]) - app.clock.now().getTime()]),
  );
  expect(waits.get("unknown")).toBeGreaterThanOrEqual(5 * 60_000);
  expect(waits.get("away")).toBeLessThanOrEqual(1_000);
});

/** Two effects that are due, on the machine's clock, and nobody who performs them. */
async function enqueued() {
  const { ports } = await testPorts();
  const clock = systemClock();
  const started = await runService(service({ name: "order", config: {}, answers: [], hears: [], does: [] }), {
    ...ports,
    clock,
  });
  const { app } = started;
  await enqueue(app, "a", "b");
  await app.sql`update jobs set target = null`;
  return { app, type: DeliverMail.type, close: () => started.close() };
}
