import type { Sql } from "./database.ts";

/**
 * A ledger that only grows, and the columns that it proves. What is booked has the version that its owner's row has afterwards, given under that row's lock: all up to
 * a version are there. So a seal, the sums up to one, spares adding them up again; the entries stay, as the proof of it. Names and sums are SQL of the program's own.
 */
export interface Books {
  /** Whose they are: a column of all three tables, such as product_id. */
  owner: string;
  /** A row an owner: the columns, and the version. */
  columns: string;
  ledger: string;
  seals: string;
  /** What an owner's entries add up to, by the column: of the columns' table and of the seals. */
  sums: Record<string, string>;
}

export interface Difference {
  id: string;
  /** The owner's column, or that of its seal: "sealed balance". */
  what: string;
  /** The sum of the ledger. */
  expected: bigint;
  found: bigint;
}

export interface Sealing {
  /** Of fewer versions an owner has no seal made. */
  versionsMin: number;
  /** A seal is put forward by so many at a time. */
  versionsMax: number;
  /** And so many seals. */
  sealsMax: number;
}

const OWNERS_AT_ONCE = 200;
const BEFORE_ALL = "00000000-0000-0000-0000-000000000000";

/** Ids in their order, a page at a time: `next` gives those after one. */
export async function* pages(next: (after: string) => Promise<string[]>, signal?: AbortSignal) {
  for (let after = BEFORE_ALL; ; ) {
    signal?.throwIfAborted();
    const ids = await next(after);
    const last = ids.at(-1);
    if (last === undefined) return;
    yield ids;
    after = last;
  }
}

/** SQL for each of the sums, by comma. */
function eachOf(sql: Sql, { sums }: Books) {
  return (column: (name: string) => string) => sql.unsafe(Object.keys(sums).map(column).join(", "));
}

/** All owners that any of the books knows; each of the ledger's is one step in its index. */
export function ownersOf(sql: Sql, { owner, columns, ledger, seals }: Books, signal?: AbortSignal) {
  return pages(async (after) => {
    const rows = await sql<{ id: string }[]>`
      with recursive booked as (
        (select ${sql(owner)} as id, 1 as number from ${sql(ledger)} where ${sql(owner)} > ${after} order by ${sql(owner)} limit 1)
        union all
        select (select l.${sql(owner)} from ${sql(ledger)} l where l.${sql(owner)} > b.id order by l.${sql(owner)} limit 1), b.number + 1
        from booked b where b.id is not null and b.number < ${OWNERS_AT_ONCE}
      )
      select id from (
        select id from booked where id is not null
        union (select ${sql(owner)} from ${sql(columns)} where ${sql(owner)} > ${after} order by ${sql(owner)} limit ${OWNERS_AT_ONCE})
        union (select ${sql(owner)} from ${sql(seals)} where ${sql(owner)} > ${after} order by ${sql(owner)} limit ${OWNERS_AT_ONCE})
      ) as known order by id limit ${OWNERS_AT_ONCE}`;
    return rows.map(({ id }) => id);
  }, signal);
}

/**
 * The books of each owner in one snapshot. What was booked up to its seal is believed, unless `whole`: then that is added up too, and the seal is compared with it.
 */
export function compareColumns(sql: Sql, books: Books, owners: string[], whole: boolean): Promise<Difference[]> {
  const { owner, columns, ledger, seals, sums } = books;
  const of = eachOf(sql, books);
  const summed = of((name) => `${sums[name]} as ${name}`);
  const early = whole
    ? sql`select ${summed} from ${sql(ledger)} l where l.${sql(owner)} = p.owner and l.version <= s.version`
    : sql`select ${of((name) => `s.${name}`)}`;
  const compared = of(
    (name) => `
      ('${name}', coalesce(c.${name}, 0), coalesce(s.${name}, 0) + coalesce(late.${name}, 0)),
      ('sealed ${name}', coalesce(s.${name}, 0), coalesce(early.${name}, 0))`,
  );
  return sql<Difference[]>`
    select p.owner as id, x.what, x.expected::bigint, x.found::bigint
    from unnest(${owners}::uuid[]) as p(owner)
      left join ${sql(columns)} c on c.${sql(owner)} = p.owner left join ${sql(seals)} s on s.${sql(owner)} = p.owner,
      lateral (${early}) as early,
      lateral (
        select ${summed} from ${sql(ledger)} l where l.${sql(owner)} = p.owner and l.version > coalesce(s.version, -1)
      ) as late,
      lateral (values ${compared}) as x(what, found, expected)
    where x.found <> x.expected order by id, what`;
}

/** Puts the seals forward over what was booked since, a little at a time; says how many steps that took. */
export async function sealLedger(sql: Sql, books: Books, sealing: Sealing, now: Date): Promise<number> {
  let steps = 0;
  for await (const owners of ownersOf(sql, books))
    for (let sealed = 1; sealed > 0; steps += sealed) sealed = await sealSome(sql, books, owners, sealing, now);
  return steps;
}

async function sealSome(sql: Sql, books: Books, owners: string[], sealing: Sealing, now: Date): Promise<number> {
  const { owner, columns, ledger, seals, sums } = books;
  const { versionsMin, versionsMax, sealsMax } = sealing;
  const of = eachOf(sql, books);
  const { count } = await sql`
    with due as (
      select p.owner, coalesce(s.version, -1) as from_version, ${of((name) => `coalesce(s.${name}, 0) as ${name}`)},
        least(c.version, coalesce(s.version, 0) + ${versionsMax}) as version
      from unnest(${owners}::uuid[]) as p(owner)
        join ${sql(columns)} c on c.${sql(owner)} = p.owner left join ${sql(seals)} s on s.${sql(owner)} = p.owner
      where c.version - coalesce(s.version, 0) >= ${versionsMin} limit ${sealsMax}
    )
    insert into ${sql(seals)} as seal (${sql(owner)}, version, ${of((name) => name)}, sealed_at)
    select due.owner, due.version, ${of((name) => `due.${name} + coalesce(more.${name}, 0)`)}, ${now} from due, lateral (
      select ${of((name) => `${sums[name]} as ${name}`)} from ${sql(ledger)} l
      where l.${sql(owner)} = due.owner and l.version > due.from_version and l.version <= due.version
    ) as more
    on conflict (${sql(owner)}) do update
    set version = excluded.version, sealed_at = excluded.sealed_at, ${of((name) => `${name} = excluded.${name}`)}
    where seal.version < excluded.version`;
  return count;
}
