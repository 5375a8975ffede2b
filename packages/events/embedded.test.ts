import { expect, test } from "bun:test";
import { brokerDatabase } from "../../tests/kit/databases.ts";
import { eventually } from "../../tests/kit/eventually.ts";
import { openDatabase } from "../database/database.ts";
import { createLog } from "../telemetry/log.ts";
import { eventsContract } from "./contract.ts";
import { createEmbeddedEvents } from "./embedded.ts";

const quiet = createLog(() => {});
const DAY_MS = 86_400_000;
/** Any number that is no lock of ours. */
const STALL = 4_711;

eventsContract("embedded", async () => {
  const { database, url } = await brokerDatabase();
  const open = (own = database) => createEmbeddedEvents(own, quiet, () => new Date());
  return { events: open(), reopen: async () => open(openDatabase(url, "again")) };
});

test("a reader that has lost the lead notes nothing: its follower hears what it had not brought to its end", async () => {
  const { database, url } = await brokerDatabase();
  const [old, next] = ["old", "next"].map((name) =>
    createEmbeddedEvents(openDatabase(url, name), quiet, () => new Date()),
  );
  if (!old || !next) throw new Error("expected two");
  const frozen = Promise.withResolvers<void>();
  const heard: string[] = [];
  old.subscribe("mail", ["order"], async (facts) => {
    heard.push(...facts.map(({ key }) => `old ${key}`));
    await frozen.promise;
  });
  await old.publish([fact("a")]);
  await eventually(() => heard.length === 1);
  await database.sql`update leaders set held_until = '-infinity', epoch = epoch + 1, holder = 'nobody'`;
  const hold = Promise.withResolvers<void>();
  next.subscribe("mail", ["order"], async (facts) => {
    heard.push(...facts.map(({ key }) => `next ${key}`));
    await hold.promise;
  });
  await eventually(() => heard.includes("next a"));
  const place = async () => (await database.sql`select position from fact_offsets`)[0]?.["position"];
  const before = await place();
  frozen.resolve();
  await old.close();
  expect(await place()).toBe(before);
  hold.resolve();
  await eventually(async () => (await next.undelivered()) === 0);
  expect(heard).toEqual(["old a", "next a"]);
  await next.close();
  await database.close();
});

test("what another process tells is read from the log, between what this one tells, each whole and in its place", async () => {
  const { database, url } = await brokerDatabase();
  const [here, there] = ["here", "there"].map((name) =>
    createEmbeddedEvents(openDatabase(url, name), quiet, () => new Date(), 20),
  );
  if (!here || !there) throw new Error("expected two");
  const told = ["a", "b", "c", "d"].map((key) => ({ ...fact(key), body: Buffer.from(`body of ${key}`) }));
  for (const [at, each] of told.entries()) await (at % 2 === 0 ? here : there).publish([each]);
  const heard: unknown[] = [];
  here.subscribe("mail", ["order"], async (facts) => void heard.push(...facts));
  await eventually(() => heard.length === told.length);
  expect(heard).toEqual(told);
  await Promise.all([here.close(), there.close(), database.close()]);
});

test("a fact whose append is late is not passed over by those that were quicker: appends take turns", async () => {
  const { database, url } = await brokerDatabase();
  // An append that has its position and does not come to its commit.
  await database.sql.unsafe(`
    create function stall() returns trigger language plpgsql as $$
      begin if new.key = 'late' then perform pg_advisory_xact_lock(${STALL}); end if; return new; end $$;
    create trigger stall before insert on facts for each row execute function stall()`);
  const [late, quick, reader] = ["late", "quick", "reader"].map((name) =>
    createEmbeddedEvents(openDatabase(url, name), quiet, () => new Date()),
  );
  if (!late || !quick || !reader) throw new Error("expected three");
  const heard: string[] = [];
  reader.subscribe("mail", ["order"], async (facts) => void heard.push(...facts.map(({ key }) => key)));
  const waiting = async () =>
    (await database.sql`select from pg_locks where locktype = 'advisory' and not granted`).length;

  const held = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const holding = database.transaction(async (sql) => {
    await sql`select pg_advisory_xact_lock(${STALL})`;
    held.resolve();
    await release.promise;
  });
  await held.promise;
  const publishing = [late.publish([fact("late")])];
  await eventually(async () => (await waiting()) === 1);
  publishing.push(quick.publish([fact("quick")]));
  await eventually(async () => heard.length === 1 || (await waiting()) === 2);
  release.resolve();
  await Promise.all([holding, ...publishing]);
  await eventually(() => heard.includes("quick"));
  expect(heard).toEqual(["late", "quick"]);
  await Promise.all([late, quick, reader].map((each) => each.close()));
  await database.close();
});

test("what is older than a week is forgotten only when the slowest group has handled it", async () => {
  const { database } = await brokerDatabase();
  let today = new Date("2026-01-05T08:00:00Z").getTime();
  const events = createEmbeddedEvents(database, quiet, () => new Date(today), 10);
  const [fast, slow]: string[][] = [[], []];
  let away = true;
  events.subscribe("fast", ["order"], async (facts) => void fast?.push(...facts.map(({ key }) => key)));
  events.subscribe("slow", ["order"], async (facts) => {
    if (away) throw new Error("its database is away");
    slow?.push(...facts.map(({ key }) => key));
  });
  await events.publish([fact("old")]);
  await eventually(() => fast?.length === 1);
  today += 8 * DAY_MS;
  await events.publish([fact("new")]);
  away = false;
  await eventually(() => slow?.length === 2);
  expect(slow).toEqual(["old", "new"]);
  await eventually(async () => (await events.undelivered()) === 0);
  today += 8 * DAY_MS;
  const kept = async () => (await database.sql<{ key: string }[]>`select key from facts`).map(({ key }) => key);
  await eventually(async () => {
    today += 60_000;
    await events.publish([fact("newest")]);
    return (await kept()).every((key) => key === "newest");
  });
  await events.close();
  await database.close();
});

test("where time runs faster than facts are forgotten one looks at a time, and the end waits for no other", async () => {
  const { database } = await brokerDatabase();
  let today = Date.now();
  const lines: string[] = [];
  const log = createLog(({ event }) => lines.push(event));
  const events = createEmbeddedEvents(database, log, () => new Date(today));
  await database.sql`insert into fact_offsets (consumer, topics, position) values ('a', '{order}', 0)`;
  const [held, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const holding = database.transaction(async (sql) => {
    await sql`lock table fact_offsets`;
    held.resolve();
    await release.promise;
  });
  await held.promise;
  for (let minute = 0; minute < 20; minute++) {
    today += 60_000;
    await events.publish([fact("k")]);
  }
  const waiting = () => database.sql<{ pid: number }[]>`select pid from pg_locks where not granted`;
  await eventually(async () => (await waiting()).length === 1);
  await database.sql`select pg_cancel_backend(pid) from pg_locks where not granted`;
  await events.close();
  expect(lines).toEqual(["events.unforgotten"]);
  release.resolve();
  await holding;
  await database.close();
});

function fact(key: string) {
  return {
    ...{
      id: crypto.randomUUID(),
      type: "order.created",
      topic: "order",
      key,
      source: "bodega/test",
      time: new Date(0),
    },
    ...{ body: new Uint8Array(), traceparent: "", correlationId: "" },
  };
}
