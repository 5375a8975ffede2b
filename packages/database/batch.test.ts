import { expect, setDefaultTimeout, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { testDatabase } from "../../tests/kit/databases.ts";
import { eventually } from "../../tests/kit/eventually.ts";
import { startTcpProxy } from "../../tests/kit/tcp-proxy.ts";
import { createBatcher, type OnceKey } from "./batch.ts";
import { isOutage, isTooSlow, openDatabase } from "./database.ts";
import { isOverload } from "./gather.ts";
import { record } from "./story.ts";
import { table } from "./table.ts";

setDefaultTimeout(30_000);
const recorder = { service: "test", now: () => new Date("2026-01-05T08:00:00Z"), newId: randomUUID };

const NOTES = table("notes", { note_id: "uuid", text: "text", amount: "bigint" });
const TAKEN = table("taken", { name: "text" });

async function open() {
  const { database, url } = await testDatabase();
  await database.sql`create table notes (note_id uuid primary key, text text not null check (text <> 'bad'), amount bigint)`;
  return {
    database,
    url,
    batcher: createBatcher(database),
    texts: async () =>
      (await database.sql<{ text: string }[]>`select text from notes order by text`).map((row) => row.text),
  };
}

function note(text: string, noteId = randomUUID()) {
  const recording = record(recorder);
  recording.insert(NOTES, { note_id: noteId, text, amount: 9007199254740993n });
  return recording.recorded;
}

function key(requestId: string, reply = "reply"): OnceKey {
  return {
    bucket: 1,
    caller: "019b0000-0000-7000-8000-000000000001",
    rpc: "Do",
    request_id: requestId,
    request_hash: Buffer.from("hash"),
    reply: Buffer.from(reply),
    created_at: recorder.now(),
  };
}

test("recordings of many callers commit, each whole, with values as they were", async () => {
  const { database, batcher, texts } = await open();
  const fresh = await Promise.all(Array.from({ length: 300 }, (_, index) => batcher.commit(note(`note ${index}`))));
  expect(fresh.every((each) => each)).toBe(true);
  expect(await texts()).toHaveLength(300);
  const [row] = await database.sql`select amount from notes limit 1`;
  expect(row?.["amount"]).toBe(9007199254740993n);
  await database.close();
});

test("one bad row fails its own caller and no neighbour", async () => {
  const { database, batcher, texts } = await open();
  const results = await Promise.allSettled(
    ["a", "b", "bad", "c", "d"].map((text) => batcher.commit(note(text), key(text))),
  );
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected", "fulfilled", "fulfilled"]);
  expect(await texts()).toEqual(["a", "b", "c", "d"]);
  const keys = await database.sql<{ request_id: string }[]>`select request_id from idempotency order by request_id`;
  expect(keys.map((row) => row.request_id)).toEqual(["a", "b", "c", "d"]);
  await database.close();
});

test("of many recordings under one key one is written, in one batch or in several, and the others know it", async () => {
  const { database, batcher, texts } = await open();
  const fresh = await Promise.all(
    Array.from({ length: 200 }, (_, index) => batcher.commit(note(`try ${index % 50}`), key(`key ${index % 50}`))),
  );
  expect(fresh.filter((each) => each)).toHaveLength(50);
  expect(await texts()).toHaveLength(50);
  expect(await batcher.commit(note("late"), key("key 1"))).toBe(false);
  await database.close();
});

test("with and without a key in one batch", async () => {
  const { database, batcher, texts } = await open();
  await batcher.commit(note("first"), key("k"));
  const fresh = await Promise.all([
    batcher.commit(note("plain")),
    batcher.commit(note("again"), key("k")),
    batcher.commit(note("new"), key("n")),
  ]);
  expect(fresh).toEqual([true, false, true]);
  expect(await texts()).toEqual(["first", "new", "plain"]);
  await database.close();
});

test("behind a database that falls silent every caller is refused, and who comes then is not begun; when it speaks again it is served", async () => {
  const { database, url, texts } = await open();
  const proxy = await startTcpProxy({ hostname: "127.0.0.1", port: Number(new URL(url).port) });
  const apart = openDatabase(Object.assign(new URL(url), { port: proxy.port }).href, "apart");
  const batcher = createBatcher(apart);
  await batcher.commit(note("before"));
  proxy.swallow();
  const told = await Promise.allSettled(
    Array.from({ length: 500 }, (_, index) => batcher.commit(note(`lost ${index}`))),
  );
  expect(told.every((each) => each.status === "rejected" && isOutage(each.reason))).toBe(true);
  let begun = false;
  const refusal = await apart
    .unlessSilent(async () => {
      begun = true;
    })
    .catch((error: unknown) => error);
  expect({ begun, outage: isOutage(refusal) }).toEqual({ begun: false, outage: true });
  proxy.pass();
  await eventually(() =>
    batcher.commit(note("after")).then(
      () => true,
      () => false,
    ),
  );
  expect(await texts()).toEqual(expect.arrayContaining(["before", "after"]));
  await apart.close();
  await proxy.end();
  await database.close();
});

test("behind a lock that is held for long its callers are refused, their neighbours are served, and the queue does not wait for each", async () => {
  const { database, batcher, texts } = await open();
  await database.sql`create table taken (name text primary key)`;
  const take = (name: string) => {
    const recording = record(recorder);
    recording.insert(TAKEN, { name });
    return recording.recorded;
  };
  const release = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  const holder = database.transaction(async (sql) => {
    await sql`set local idle_in_transaction_session_timeout = 0`;
    await sql`insert into taken values ('held')`;
    held.resolve();
    await release.promise;
  });
  await held.promise;
  const blocked = Promise.allSettled(Array.from({ length: 3 }, () => batcher.commit(take("held"))));
  const neighbours = Promise.all(Array.from({ length: 20 }, (_, index) => batcher.commit(note(`neighbour ${index}`))));
  await neighbours;
  expect(await texts()).toHaveLength(20);
  for (const each of await blocked) {
    if (each.status === "fulfilled") throw new Error("expected a refusal, found a commit");
    expect(isTooSlow(each.reason) || isOverload(each.reason)).toBe(true);
  }
  release.resolve();
  await holder;
  await database.close();
});
