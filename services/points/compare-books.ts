import type { Sql } from "../../packages/database/database.ts";
import { type Books, compareColumns, type Difference, ownersOf, pages } from "../../packages/database/sealed-ledger.ts";

export const BOOKS: Books = {
  owner: "user_id",
  columns: "accounts",
  ledger: "ledger",
  seals: "ledger_seals",
  sums: {
    balance: "sum(amount) filter (where account in ('available', 'held'))",
    held: "sum(amount) filter (where account = 'held')",
  },
};
const HOLDS_AT_ONCE = 1_000;

/**
 * The columns are the sums of the user's entries, every movement is two entries that sum to zero, `held` is the sum of undecided holds, and each hold has in the ledger
 * what its status says. What lies before the account's seal, and holds that were settled before it, are looked at only when the `whole` is asked for.
 */
export async function compareBooks(sql: Sql, whole: boolean, signal?: AbortSignal) {
  const differences: Difference[] = [];
  let checked = 0;
  for await (const userIds of ownersOf(sql, BOOKS, signal)) {
    differences.push(...(await compareColumns(sql, BOOKS, userIds, whole)));
    differences.push(...(await compareMovements(sql, userIds, whole)));
    differences.push(...(await compareOpenHolds(sql, userIds)));
    if (!whole) differences.push(...(await compareHolds(sql, await findHoldsAfterSeal(sql, userIds))));
    checked += userIds.length;
  }
  if (whole)
    for await (const holdIds of pages((after) => nextHolds(sql, after), signal))
      differences.push(...(await compareHolds(sql, holdIds)));
  return { checked, differences };
}

function compareMovements(sql: Sql, userIds: string[], whole: boolean): Promise<Difference[]> {
  const from = whole ? sql`-1` : sql`coalesce(s.version, -1)`;
  return sql<Difference[]>`
    select unequal.* from unnest(${userIds}::uuid[]) as p(user_id) left join ledger_seals s using (user_id),
      lateral (
        select movement_id as id, 'movement' as what, 0::bigint as expected, sum(amount)::bigint as found
        from ledger l where l.user_id = p.user_id and l.version > ${from} group by movement_id having sum(amount) <> 0 or count(*) <> 2
      ) as unequal`;
}

function compareOpenHolds(sql: Sql, userIds: string[]): Promise<Difference[]> {
  return sql<Difference[]>`
    select p.user_id as id, 'open holds' as what, open.held::bigint as expected, coalesce(a.held, 0) as found
    from unnest(${userIds}::uuid[]) as p(user_id) left join accounts a using (user_id),
      lateral (select coalesce(sum(amount), 0) as held from holds h where h.user_id = p.user_id and h.status = 'HELD') as open
    where open.held <> coalesce(a.held, 0)`;
}

/** Those that are undecided, and those of which something was booked after the seal. */
async function findHoldsAfterSeal(sql: Sql, userIds: string[]): Promise<string[]> {
  const rows = await sql<{ hold_id: string }[]>`
    select hold_id from holds where user_id = any(${userIds}) and status = 'HELD'
    union
    select entries.cause_id::uuid from unnest(${userIds}::uuid[]) as p(user_id) left join ledger_seals s using (user_id),
      lateral (
        select distinct cause_id from ledger l where l.user_id = p.user_id and l.version > coalesce(s.version, -1)
          and account in ('held', 'spent') and pg_input_is_valid(cause_id, 'uuid')
      ) as entries`;
  return rows.map(({ hold_id }) => hold_id);
}

async function nextHolds(sql: Sql, after: string): Promise<string[]> {
  const rows = await sql<{ hold_id: string }[]>`
    select hold_id from holds where hold_id > ${after} order by hold_id limit ${HOLDS_AT_ONCE}`;
  return rows.map(({ hold_id }) => hold_id);
}

function compareHolds(sql: Sql, holdIds: string[]): Promise<Difference[]> {
  return sql<Difference[]>`
    select h.hold_id as id, 'hold' as what, (kept.held + kept.spent)::bigint as expected, (booked.held + booked.spent)::bigint as found
    from holds h,
      lateral (values (case when h.status = 'HELD' then h.amount else 0 end, case when h.status = 'COMMITTED' then h.amount else 0 end)) as kept(held, spent),
      lateral (
        select coalesce(sum(amount) filter (where account = 'held'), 0) as held, coalesce(sum(amount) filter (where account = 'spent'), 0) as spent
        from ledger l where l.cause_id = h.hold_id::text
      ) as booked
    where h.hold_id = any(${holdIds}) and (kept.held <> booked.held or kept.spent <> booked.spent)`;
}
