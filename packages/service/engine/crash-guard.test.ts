import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { brokerDatabase, testDatabase } from "../../../tests/kit/databases.ts";
import { eventually } from "../../../tests/kit/eventually.ts";
import { OrderCreated } from "../../api/facts.ts";
import { SendPaymentReminder } from "../../api/jobs.ts";
import type { Database } from "../../database/database.ts";
import { createEmbeddedEvents } from "../../events/embedded.ts";
import { createLog } from "../../telemetry/log.ts";
import { guardAfterCrash } from "./crash-guard.ts";

setDefaultTimeout(240_000);
const DEATHS_MAX = 8;
const quiet = createLog(() => {});
const living: { kill(signal?: NodeJS.Signals): void }[] = [];
afterEach(() => {
  for (const each of living.splice(0)) each.kill("SIGKILL");
});

/** Starts a process after the other, until one lives; says how many died, and lets the last one end well. */
async function untilOneLives(url: string, brokerUrl: string, done: (said: string) => Promise<boolean>) {
  let said = "";
  for (let deaths = 0; deaths < DEATHS_MAX; deaths++) {
    const child = Bun.spawn(
      [process.execPath, join(import.meta.dir, "../../../tests/kit/deadly-process.ts"), url, brokerUrl],
      {
        stdout: "pipe",
        stderr: "ignore",
      },
    );
    living.push(child);
    void (async () => {
      for await (const chunk of child.stdout) said += Buffer.from(chunk).toString();
    })();
    let dead = false;
    void child.exited.then(() => {
      dead = true;
    });
    await eventually(async () => dead || (await done(said)));
    if (dead) continue;
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    return { deaths, said };
  }
  throw new Error(`all of ${DEATHS_MAX} processes died`);
}

const count = async ({ sql }: Database, table: string) =>
  Number((await sql.unsafe(`select count(*) as count from ${table}`))[0]?.["count"]);

test("a fact that ends the process is parked after a few deaths, and its neighbours are handled once", async () => {
  const [own, broker] = await Promise.all([testDatabase(), brokerDatabase()]);
  const events = createEmbeddedEvents(broker.database, quiet, () => new Date());
  const fact = (orderId: string) => ({
    ...{ id: crypto.randomUUID(), type: "order.created", topic: "order", key: orderId, source: "bodega/test" },
    ...{ time: new Date(0), traceparent: "", correlationId: "" },
    body: toBinary(OrderCreated.schema, create(OrderCreated.schema, { orderId })),
  });
  await events.publish(["a", "deadly", "b"].map(fact));
  await events.publish([fact("c")]);
  const { deaths, said } = await untilOneLives(
    own.url,
    broker.url,
    async () => (await events.undelivered()) === 0 && (await count(own.database, "parked")) === 1,
  );
  expect(deaths).toBeGreaterThan(1);
  expect(deaths).toBeLessThanOrEqual(5);
  expect((await own.database.sql`select key, error from parked`)[0]).toMatchObject({
    key: "deadly",
    error: expect.stringContaining("each time the process ended"),
  });
  // What was rolled back with the deadly one was handled again.
  expect(new Set(said.split("\n").filter((line) => line.startsWith("fact")))).toEqual(
    new Set(["fact a", "fact b", "fact c"]),
  );
  expect(await count(own.database, "jobs")).toBe(0);
  await Promise.all([events.close(), own.database.close(), broker.database.close()]);
});

test("a job that ends the process is parked after a few deaths, and its neighbours are done", async () => {
  const [own, broker] = await Promise.all([testDatabase(), brokerDatabase()]);
  for (const orderId of ["a", "deadly", "b"])
    await own.database.sql`insert into jobs (bucket, job_id, kind, type, key, body, due_at, traceparent)
      values (0, ${crypto.randomUUID()}, 'job', ${SendPaymentReminder.type}, ${orderId},
        ${toBinary(SendPaymentReminder.schema, create(SendPaymentReminder.schema, { orderId }))}, ${new Date(0)}, '')`;
  const { deaths, said } = await untilOneLives(
    own.url,
    broker.url,
    async (told) => (await count(own.database, "parked")) === 1 && told.includes("job b"),
  );
  expect(deaths).toBeLessThanOrEqual(5);
  expect((await own.database.sql`select key from parked`)[0]).toMatchObject({ key: "deadly" });
  expect(new Set(said.split("\n").filter((line) => line.startsWith("job")))).toEqual(new Set(["job a", "job b"]));
  await Promise.all([own.database.close(), broker.database.close()]);
});

test("care is taken after an end without a farewell, and after a farewell none", async () => {
  const { database } = await testDatabase();
  const first = await guardAfterCrash(database, quiet);
  expect(first.careful()).toBe(false);
  await first.close();
  const second = await guardAfterCrash(database, quiet);
  expect(second.careful()).toBe(false);
  // As when its process was killed: its session is gone, and it said nothing.
  await database.sql`update leaders set session_pid = 0 where name like 'process %'`;
  const third = await guardAfterCrash(database, quiet, 100);
  expect(third.careful()).toBe(true);
  await eventually(() => !third.careful());
  await Promise.all([second.close(), third.close()]);
  const fourth = await guardAfterCrash(database, quiet);
  expect(fourth.careful()).toBe(false);
  await fourth.close();
  expect(await database.sql`select name from leaders where name like 'process %'`).toHaveLength(0);
  await database.close();
});
