import { expect, setDefaultTimeout, test } from "bun:test";
import { testDatabase } from "../../tests/kit/databases.ts";
import { eventually } from "../../tests/kit/eventually.ts";
import { isOutage } from "./database.ts";

setDefaultTimeout(30_000);

test("a transaction whose backend is killed fails whole: its later statements run nowhere, and the pool goes on", async () => {
  const { database } = await testDatabase();
  await database.sql`create table notes (text text)`;
  for (let round = 0; round < 20; round++) {
    const failure = await database
      .transaction(async (sql) => {
        await sql`insert into notes values ('first half')`;
        const [row] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
        await database.sql`select pg_terminate_backend(${row?.pid ?? 0})`;
        // The story goes on without noticing, as a story would that was computing meanwhile.
        await Bun.sleep(round);
        await sql`insert into notes values ('second half')`;
      })
      .catch((error: unknown) => error);
    expect(isOutage(failure)).toBe(true);
  }
  // Other transactions use the connections that came back.
  await Promise.all(
    Array.from({ length: 40 }, () => database.transaction((sql) => sql`insert into notes values ('whole')`)),
  );
  const rows = await database.sql<
    { text: string; count: bigint }[]
  >`select text, count(*) as count from notes group by text`;
  expect([...rows]).toEqual([{ text: "whole", count: 40n }]);
  await database.close();
});

test("after a backend was killed amid statements, every later statement gets its own answer", async () => {
  const { database } = await testDatabase();
  for (let round = 0; round < 6; round++) {
    const failure = await database
      .transaction(async (sql) => {
        const [row] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
        await database.sql`select pg_terminate_backend(${row?.pid ?? 0})`;
        // Written while the connection is dying: these, and the rollback after them, are never answered.
        await Promise.all([1, 2, 3].map((number) => sql`select ${number}::int as number`));
      })
      .catch((error: unknown) => error);
    expect(isOutage(failure)).toBe(true);
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, number) =>
        database.transaction(async (sql) => (await sql`select ${number}::int as number`)[0]?.["number"]),
      ),
    );
    expect(answers).toEqual(Array.from({ length: 40 }, (_, number) => number));
  }
  await database.close();
});

test("a session knows when it was lost, and with it its locks", async () => {
  const { database } = await testDatabase();
  const session = database.session();
  const [row] = await session.sql<{ pid: number }[]>`select pg_backend_pid() as pid, pg_advisory_lock(1)`;
  expect(session.lost()).toBe(false);
  await database.sql`select pg_terminate_backend(${row?.pid ?? 0})`;
  await eventually(() => session.lost());
  await session.close();
  await database.close();
});

test("an answer that came while the process itself was stopped is read, however long that was", async () => {
  const { database } = await testDatabase();
  const session = database.session({ answerTimeoutS: 1 });
  await session.sql`select 1`;
  const asked = session.sql`select 1 as one from pg_sleep(0.2)`.execute();
  await Bun.sleep(50);
  // Only one that waits when it is stopped looks at its clock first when it goes on.
  Bun.spawn(["sh", "-c", `kill -STOP ${process.pid}; sleep 2.5; kill -CONT ${process.pid}`]);
  expect([...(await asked)]).toEqual([{ one: 1 }]);
  await session.close();
  await database.close();
});

test("a server that is asked and says nothing is given up, and a session that asks nothing is not", async () => {
  const { database } = await testDatabase();
  const session = database.session({ answerTimeoutS: 1 });
  await session.sql`select 1`;
  await Bun.sleep(2_500);
  expect(await session.sql`select 1 as one`).toMatchObject([{ one: 1 }]);
  const asked = session.sql`select pg_sleep(10)`.execute();
  await expect(asked).rejects.toMatchObject({ code: "CONNECTION_SILENT" });
  await eventually(() => session.lost());
  await session.close();
  await database.close();
});

test("values come back as they went in", async () => {
  const { database } = await testDatabase();
  const [row] =
    await database.sql`select ${new Date("2026-01-05T08:00:00.123Z")}::timestamptz as at, ${9007199254740993n}::int8 as big, ${Buffer.from([0, 255])}::bytea as bytes`;
  expect(row).toEqual({
    at: new Date("2026-01-05T08:00:00.123Z"),
    big: 9007199254740993n,
    bytes: Buffer.from([0, 255]),
  });
  await database.close();
});
