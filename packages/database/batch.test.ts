import { expect, setDefaultTimeout, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { testDatabase } from "../../tests/databases.ts";
import { createBatcher, type OnceKey } from "./batch.ts";
import { record } from "./story.ts";

setDefaultTimeout(30_000);
const recorder = { service: "test", now: () => new Date("2026-01-05T08:00:00Z"), newId: randomUUID };

async function open() {
  const { database } = await testDatabase();
  await database.sql`create table notes (note_id uuid primary key, text text not null check (text <> 'bad'), amount bigint)`;
  return {
    database,
    batcher: createBatcher(database.sql),
    texts: async () =>
      (await database.sql<{ text: string }[]>`select text from notes order by text`).map((row) => row.text),
  };
}

function note(text: string, noteId = randomUUID()) {
  const recording = record(recorder);
  recording.insert("notes", { note_id: noteId, text, amount: 9007199254740993n });
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
