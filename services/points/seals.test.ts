import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { PointsService } from "../../packages/api/gen/bodega/points/v1/points_pb.ts";
import type { Sql } from "../../packages/database/database.ts";
import { sealLedger } from "../../packages/database/sealed-ledger.ts";
import { asService, grant } from "../../tests/kit/services/points.ts";
import { type System, startSystem, type User } from "../../tests/kit/system.ts";
import { BOOKS, compareBooks } from "./compare-books.ts";

setDefaultTimeout(60_000);

const USERS = 100;
const MOVEMENTS = 100;
const SEALING = { versionsMin: 10, versionsMax: 30, sealsMax: 20 };

let system: System;
let busy: User;
let quiet: User;
beforeAll(async () => {
  system = await startSystem({ services: ["points"] });
  [busy, quiet] = [system.newCustomer(), system.newCustomer()];
  for (const user of [busy, quiet]) await grant(system, user, 100n);
  // Half of the movements are from before entries had versions.
  const users = [busy.userId, ...Array.from({ length: USERS - 1 }, () => system.newCustomer().userId)];
  await byHand(async (tx) => {
    await tx`
      insert into ledger (movement_id, account, user_id, version, kind, cause_id, amount, reason, trace_id, at)
      select movement_id, side.account, user_id, greatest(0, number - ${MOVEMENTS / 2}::int), 'granted', user_id || ' ' || number, side.amount, '', '', ${system.clock.now()}
      from (select user_id, number, uuidv7() as movement_id from unnest(${users}::uuid[]) as user_id, generate_series(1, ${MOVEMENTS}::int) as number) as movement,
        (values ('issued', -3), ('available', 3)) as side(account, amount)`;
    await tx`
      insert into accounts (user_id, balance, held, version) select user_id, ${3 * MOVEMENTS}, 0, ${MOVEMENTS / 2} from unnest(${users}::uuid[]) as user_id
      on conflict (user_id) do update set balance = accounts.balance + excluded.balance, version = excluded.version`;
  });
  await sql()`analyze ledger, accounts, holds`;
});
afterAll(() => system.close());

const sql = () => system.app("points").sql;
/** What no program does: the ledger lets nobody change it. */
const byHand = (work: (tx: Sql) => Promise<unknown>) =>
  system.app("points").transact(async ({ sql: tx }) => {
    await tx`alter table ledger disable trigger user, drop constraint ledger_versioned`;
    await work(tx);
    await tx`alter table ledger enable trigger user, add constraint ledger_versioned check (version > 0) not valid`;
  });
const reconcile = async (whole: boolean) =>
  (await system.as("admin", PointsService).reconcile({ whole })).differences.map(({ id, what, expected, found }) => [
    ...[id, what, found - expected],
  ]);

/** Entries of the ledger that the server reads to compare all books. */
function entriesRead(whole: boolean): Promise<number> {
  return system.app("points").transact(async (tx) => {
    const read = async () => {
      const [row] = await tx.sql<{ rows: number }[]>`
        select (idx_tup_fetch + seq_tup_read)::int as rows from pg_stat_xact_user_tables where relname = 'ledger'`;
      return row?.rows ?? 0;
    };
    const before = await read();
    await compareBooks(tx.sql, whole);
    return (await read()) - before;
  });
}

test("an entry of a program that knows no versions gets its account's", async () => {
  const { userId } = system.newCustomer();
  await grant(system, { ...busy, userId }, 5n);
  await system.app("points").transact(async (tx) => {
    await tx.sql`update accounts set version = version + 1, balance = balance + 1 where user_id = ${userId}`;
    const common = {
      user_id: userId,
      kind: "granted",
      cause_id: "old",
      reason: "",
      trace_id: "",
      at: system.clock.now(),
    };
    const movement = { ...common, movement_id: system.random.id() };
    await tx.sql`insert into ledger ${tx.sql([
      { ...movement, account: "issued", amount: -1n },
      { ...movement, account: "available", amount: 1n },
    ])}`;
  });
  const versions = await sql()`select version from ledger where user_id = ${userId} order by version`;
  expect(versions.map(({ version }) => version)).toEqual([1n, 1n, 2n, 2n]);
});

test("a seal is put forward step by step, begins with what has no version, and is the sum up to its own", async () => {
  const seal = () => sealLedger(sql(), BOOKS, SEALING, system.clock.now());
  expect([await seal(), await seal()]).toEqual([2 * USERS, 0]);
  const seals = await sql()`select version, balance, held from ledger_seals where user_id = ${busy.userId}`;
  expect(Array.from(seals)).toEqual([{ version: 50n, balance: 400n, held: 0n }]);
});

test("the books agree with seals and without, and nothing before a seal is read again unless it is asked for", async () => {
  expect(await reconcile(false)).toEqual([]);
  expect(await reconcile(true)).toEqual([]);
  // One of each account, to find the accounts.
  expect(await entriesRead(false)).toBeLessThan(2 * USERS);
  expect(await entriesRead(true)).toBeGreaterThanOrEqual(2 * USERS * MOVEMENTS);
});

test("what is booked after a seal counts, and a hand in it is found: in the columns, the entries and the holds", async () => {
  const { hold } = await asService(system).prepareHold({
    orderId: system.random.idFor(busy.userId),
    userId: busy.userId,
    amount: 40n,
  });
  const holdId = hold?.holdId ?? "";
  expect(await reconcile(false)).toEqual([]);
  const both = [busy.userId, quiet.userId].toSorted();
  await sql()`update accounts set balance = balance + 1 where user_id = any(${both})`;
  expect(await reconcile(false)).toEqual(both.map((id) => [id, "balance", 1n]));
  await sql()`update accounts set balance = balance - 1 where user_id = any(${both})`;
  const [removed] = await sql()`select * from ledger where cause_id = ${holdId} and account = 'held'`;
  await byHand((tx) => tx`delete from ledger where cause_id = ${holdId} and account = 'held'`);
  expect((await reconcile(false)).map(([, what]) => what).toSorted()).toEqual(["balance", "held", "hold", "movement"]);
  await byHand((tx) => tx`insert into ledger ${tx(removed ?? {})}`);
  await sql()`update holds set status = 'RELEASED' where hold_id = ${holdId}`;
  expect(await reconcile(false)).toEqual([
    [busy.userId, "open holds", 40n],
    [holdId, "hold", 40n],
  ]);
  await sql()`update holds set status = 'HELD' where hold_id = ${holdId}`;
  expect(await reconcile(true)).toEqual([]);
});

test("a hand before the seal is found when the whole is added up: one entry changed, or a movement removed", async () => {
  const [early, late] = [`${busy.userId} 5`, `${busy.userId} ${MOVEMENTS}`];
  await byHand((tx) => tx`update ledger set amount = amount + 7 where cause_id = ${early} and account = 'available'`);
  expect(await reconcile(false)).toEqual([]);
  expect((await reconcile(true)).map(([, what, by]) => [what, by])).toEqual([
    ["sealed balance", -7n],
    ["movement", 7n],
  ]);
  await byHand((tx) => tx`update ledger set amount = sign(amount) * 3 where cause_id = ${early}`);
  await byHand((tx) => tx`delete from ledger where cause_id = ${late}`);
  expect(await reconcile(false)).toEqual([]);
  expect(await reconcile(true)).toEqual([[busy.userId, "sealed balance", 3n]]);
});

test("a wrong seal is found: at once by the columns, and by the whole ledger when the columns were made to fit", async () => {
  await sql()`update ledger_seals set balance = balance + 4 where user_id = ${busy.userId}`;
  expect(await reconcile(false)).toEqual([[busy.userId, "balance", -4n]]);
  await sql()`update accounts set balance = balance + 4 where user_id = ${busy.userId}`;
  expect(await reconcile(false)).toEqual([]);
  expect(await reconcile(true)).toContainEqual([busy.userId, "sealed balance", 7n]);
});
