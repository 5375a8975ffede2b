import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { testDatabase } from "../../tests/kit/databases.ts";
import { eventually } from "../../tests/kit/eventually.ts";
import { createLog } from "../telemetry/log.ts";
import { type Database, openDatabase } from "./database.ts";
import { type Outgoing, outboxBacklog, readAt } from "./outbox.ts";
import { type Publish, type Relay, startPollRelay } from "./relay.ts";
import { startWalRelay } from "./wal.ts";

setDefaultTimeout(60_000);
const quiet = createLog(() => {});

const MODES: Record<string, (database: Database, url: string, publish: Publish) => Relay> = {
  poll: (database, _url, publish) => startPollRelay(database, publish, quiet),
  wal: (database, url, publish) => startWalRelay(database, url, publish, quiet),
};

for (const [mode, start] of Object.entries(MODES)) {
  describe(`the ${mode} relay`, () => {
    test("publishes what was committed before and after it started, in order, and empties the outbox", async () => {
      const { database, relayUrl: url } = await testDatabase();
      await put(database, "a", 1, 5);
      const got: Outgoing[] = [];
      const relay = start(database, url, async (rows) => void got.push(...rows));
      await eventually(() => got.length >= 5);
      for (let index = 6; index <= 30; index++) {
        await put(database, "a", index, index);
        relay.wake();
      }
      await eventually(async () => distinct(got).length >= 30 && (await outboxBacklog(database.sql)).depth === 0n);
      expect(distinct(got).map((row) => row.body[0])).toEqual(Array.from({ length: 30 }, (_, index) => index + 1));
      const [first] = got;
      expect(first).toMatchObject({
        topic: "order",
        key: "a",
        type: "order.created",
        correlationId: "r1",
        time: new Date("2026-01-05T08:00:00.123Z"),
      });
      await relay.close();
      await database.close();
    });

    test("never tells what was rolled back", async () => {
      const { database, relayUrl: url } = await testDatabase();
      const got: Outgoing[] = [];
      const relay = start(database, url, async (rows) => void got.push(...rows));
      const aborted = database.transaction(async (sql) => {
        await insert(sql, "ghost", 1);
        throw new Error("changed my mind");
      });
      await expect(aborted).rejects.toThrow("changed my mind");
      await put(database, "real", 1, 1);
      relay.wake();
      await eventually(() => got.length >= 1);
      expect(got.map((row) => row.key)).toEqual(["real"]);
      await relay.close();
      await database.close();
    });

    test("tells a transaction that commits late with a low position", async () => {
      const { database, relayUrl: url } = await testDatabase();
      const got: Outgoing[] = [];
      const relay = start(database, url, async (rows) => void got.push(...rows));
      await put(database, "first", 1, 1);
      await eventually(() => got.length >= 1);
      const hold = Promise.withResolvers<void>();
      const inserted = Promise.withResolvers<void>();
      const slow = database.transaction(async (sql) => {
        await insert(sql, "slow", 1);
        inserted.resolve();
        await hold.promise;
      });
      await inserted.promise;
      await put(database, "quick", 1, 3);
      relay.wake();
      await eventually(() => distinct(got).length >= 4);
      hold.resolve();
      await slow;
      relay.wake();
      await eventually(() => distinct(got).length >= 5);
      expect(distinct(got).map((row) => row.key)).toEqual(["first", "quick", "quick", "quick", "slow"]);
      await relay.close();
      await database.close();
    });

    test("a publish that fails is tried again, nothing is lost and the order of an aggregate stays", async () => {
      const { database, relayUrl: url } = await testDatabase();
      const got: Outgoing[] = [];
      let failures = 2;
      const relay = start(database, url, async (rows) => {
        if (failures-- > 0) throw new Error("broker away");
        got.push(...rows);
      });
      await put(database, "a", 1, 20);
      relay.wake();
      await eventually(async () => distinct(got).length >= 20 && (await outboxBacklog(database.sql)).depth === 0n);
      expect(distinct(got).map((row) => row.body[0])).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
      await relay.close();
      await database.close();
    });

    test("transactions that end while others are being published go out together, in order", async () => {
      const { database, relayUrl: url } = await testDatabase();
      const got: Outgoing[][] = [];
      const hold = Promise.withResolvers<void>();
      const relay = start(database, url, async (rows) => {
        got.push(rows);
        await hold.promise;
      });
      if (mode === "wal") await beingRead(url);
      await put(database, "a", 0, 0);
      await eventually(() => got.length === 1);
      for (let index = 1; index <= 40; index++) await put(database, "a", index, index);
      hold.resolve();
      await eventually(async () => (await outboxBacklog(database.sql)).depth === 0n);
      expect(distinct(got.flat()).map((row) => row.body[0])).toEqual(Array.from({ length: 41 }, (_, index) => index));
      expect(got.length).toBeLessThan(20);
      await relay.close();
      await database.close();
    });

    test("of two relays of one database one works, and the other takes over when it stops", async () => {
      const { database, relayUrl: url } = await testDatabase();
      const got: string[][] = [[], []];
      const relays = got.map((own) =>
        start(database, url, async (rows) => void own.push(...rows.map((row) => row.id))),
      );
      await put(database, "a", 1, 10);
      for (const relay of relays) relay.wake();
      await eventually(() => got.flat().length >= 10);
      const leader = got.findIndex((own) => own.length > 0);
      expect(got.filter((own) => own.length > 0)).toHaveLength(1);
      await relays[leader]?.close();
      await put(database, "a", 11, 12);
      await eventually(async () => new Set(got.flat()).size >= 12 && (await outboxBacklog(database.sql)).depth === 0n);
      await relays[1 - leader]?.close();
      await database.close();
    });
  });
}

test("what this process has written goes out as the table has it, among what others have", async () => {
  const { database } = await testDatabase();
  const hold = Promise.withResolvers<void>();
  const got: Outgoing[] = [];
  const relay = startPollRelay(
    database,
    async (facts) => {
      got.push(...facts);
      await hold.promise;
    },
    quiet,
  );
  await put(database, "first", 0, 0);
  await eventually(() => got.length === 1);
  const own = [1, 2, 5, 6].map((index) => outboxRow("ours", index));
  await database.sql`insert into outbox ${database.sql(own.slice(0, 2))}`;
  await put(database, "others", 3, 4);
  await database.sql`insert into outbox ${database.sql(own.slice(2))}`;
  await put(database, "others", 7, 7);
  relay.wake(own);
  const stored = await readAt(
    database.sql,
    Array.from({ length: 8 }, (_, index) => BigInt(index + 1)),
  );
  hold.resolve();
  await eventually(async () => (await outboxBacklog(database.sql)).depth === 0n);
  expect(stored).toHaveLength(8);
  expect(got).toMatchObject(stored.map(({ position: _, ...fact }) => fact));
  await relay.close();
  await database.close();
});

/** The planted bug: a reader that remembers the highest position it has seen passes what commits late below it. */
test("a relay that polled by position would lose a late commit", async () => {
  const { database } = await testDatabase();
  const seen: string[] = [];
  let position = 0n;
  const pollByPosition = async () => {
    const rows = await database.sql<{ key: string; position: bigint }[]>`
      select position, aggregateid as key from outbox where position > ${position} order by position`;
    for (const row of rows) {
      seen.push(row.key);
      position = row.position;
    }
  };
  const hold = Promise.withResolvers<void>();
  const inserted = Promise.withResolvers<void>();
  const slow = database.transaction(async (sql) => {
    await insert(sql, "slow", 1);
    inserted.resolve();
    await hold.promise;
  });
  await inserted.promise;
  await put(database, "quick", 1, 1);
  await pollByPosition();
  hold.resolve();
  await slow;
  await pollByPosition();
  expect(seen).toEqual(["quick"]);
  await database.close();
});

async function put(database: Database, key: string, from: number, to: number) {
  for (let index = from; index <= to; index++) await insert(database.sql, key, index);
}

async function insert(sql: Database["sql"], key: string, index: number) {
  await sql`insert into outbox ${sql(outboxRow(key, index))}`;
}

function outboxRow(key: string, index: number) {
  return {
    id: crypto.randomUUID(),
    aggregatetype: "order",
    aggregateid: key,
    type: "order.created",
    payload: Buffer.from([index]),
    time: new Date("2026-01-05T08:00:00.123Z"),
    traceparent: "00-a-b-01",
    correlation_id: `r${index}`,
  };
}

/** Resolves when the log is read: what is there before goes out by the table. A role sees what its own sessions do. */
async function beingRead(url: string): Promise<void> {
  const { sql, close } = openDatabase(url, "test");
  await eventually(async () => {
    const readers = await sql`
      select from pg_stat_activity where datname = current_database() and backend_type = 'walsender'`;
    return readers.length > 0;
  });
  await close();
}

function distinct(rows: Outgoing[]): Outgoing[] {
  return [...new Map(rows.map((row) => [row.id, row])).values()];
}

test("a leader that keeps failing leaves the work to one that can", async () => {
  const { database, relayUrl: url } = await testDatabase();
  const got: string[] = [];
  const sick = MODES["poll"]?.(database, url, async () => {
    throw new Error("this process cannot reach the broker");
  });
  await put(database, "a", 1, 3);
  await eventually(async () => (await database.sql`select from leaders where name = 'relay' and epoch > 0`).length > 0);
  const well = MODES["poll"]?.(database, url, async (rows) => void got.push(...rows.map((row) => row.id)));
  await eventually(() => got.length >= 3);
  await Promise.all([sick?.close(), well?.close()]);
  await database.close();
});
