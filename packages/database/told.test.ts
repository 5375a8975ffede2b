import { afterAll, beforeAll, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { testDatabase } from "../../tests/kit/databases.ts";
import { OrderCreated } from "../api/facts.ts";
import { RequestRefund, WorkTicket } from "../api/jobs.ts";
import type { Database } from "./database.ts";
import { finish, leaseOutgoing } from "./jobs.ts";
import { pruneOutbox } from "./outbox.ts";
import { record, write } from "./story.ts";

setDefaultTimeout(30_000);
const now = new Date("2026-01-05T08:00:00Z");
const recorder = { service: "kitchen", now: () => now, newId: randomUUID };

let database: Database;
beforeAll(async () => {
  ({ database } = await testDatabase());
});
afterAll(() => database.close());
beforeEach(async () => {
  await database.sql`truncate outbox, jobs, told_facts, told_jobs`;
});

/** As the archive of a stack does it. */
async function keepTold() {
  await database.sql`alter table outbox enable trigger keep_told`;
  await database.sql`alter table jobs enable trigger keep_told`;
}

/** Two facts and a job for another service leave, a job of its own is done. */
async function tell() {
  const recording = record(recorder);
  for (const orderId of ["a", "b"]) recording.emit(OrderCreated, { orderId });
  recording.enqueue(RequestRefund, { paymentId: "p" });
  recording.enqueue(WorkTicket, { ticketId: "t" });
  await write(database.sql, recording.recorded);
  const there = await rows();
  const facts = await database.sql<{ position: bigint }[]>`select position from outbox`;
  await pruneOutbox(
    database.sql,
    facts.map(({ position }) => position),
  );
  await finish(database.sql, await leaseOutgoing(database.sql, { now, until: now }, [], 10));
  await database.sql`delete from jobs where target is null`;
  return there;
}

/** As another process would send them. */
async function rows() {
  return {
    facts: await database.sql`
      select position, id, aggregatetype, aggregateid, type, payload, time, traceparent, correlation_id from outbox order by position`,
    jobs: await database.sql`
      select bucket, job_id, kind, target, type, key, body, source, time, traceparent, correlation_id from jobs where target is not null`,
  };
}

const NOTHING = { facts: [], jobs: [] };
const tellAgain = async () => (await database.sql`select tell_again() as messages`)[0]?.["messages"];

test("what has been told is forgotten where nobody keeps a backup", async () => {
  await tell();
  expect(await tellAgain()).toBe(0n);
  expect(await rows()).toEqual(NOTHING as never);
});

test("where one is kept, a database that was set back tells all of it again, as it was and in its order, and remembers that too", async () => {
  await keepTold();
  for (let round = 0; round < 2; round++) {
    const told = await tell();
    expect([told.facts.length, told.jobs.length]).toEqual([2, 1]);
    expect(await rows()).toEqual(NOTHING as never);
    expect(await tellAgain()).toBe(3n);
    expect(await rows()).toEqual(told);
    expect(await tellAgain()).toBe(0n);
    await database.sql`truncate outbox, jobs`;
  }
});

test("what was not told yet stays as it is", async () => {
  await keepTold();
  await tell();
  const recording = record(recorder);
  recording.emit(OrderCreated, { orderId: "c" });
  await write(database.sql, recording.recorded);
  await tellAgain();
  const keys = await database.sql<{ key: string }[]>`select aggregateid as key from outbox order by position`;
  expect(keys.map(({ key }) => key)).toEqual(["a", "b", "c"]);
});
