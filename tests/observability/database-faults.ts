// What somebody with a way to PostgreSQL can do to the shop. Each gives back its end, which keeps its sessions: Bun closes one that nobody could use any more.
import { type ReservedSQL, SQL } from "bun";
import type { FaultShop } from "./fault-shop.ts";

const FULL = 0.915;
/** So many at a time: the shop has connections of its own to open meanwhile. */
const TAKEN_AT_ONCE = 8;
const TIMERS = 10;
/** Every worker has seen by then that they are due soon: it looks once a second. */
const SEEN_MS = 2_500;
/** By then they are held, on a busy machine too. */
const HELD_BY_MS = 8_000;

/** A program that opens connections until so much of what the server lets in is in use. */
export async function takeConnections({ root, databaseUrl }: FaultShop) {
  const [row] = await root.sql<{ most: number; used: number }[]>`
    select current_setting('max_connections')::int as most, (select sum(numbackends) from pg_stat_database)::int as used`;
  if (!row) throw new Error("expected one row of the server, found none");
  const wanted = Math.ceil(row.most * FULL) - row.used;
  const greedy = new SQL(databaseUrl, { max: wanted });
  const taken: ReservedSQL[] = [];
  while (taken.length < wanted)
    taken.push(
      ...(await Promise.all(
        Array.from({ length: Math.min(TAKEN_AT_ONCE, wanted - taken.length) }, () => greedy.reserve()),
      )),
    );
  return async () => {
    for (const session of taken) session.release();
    await greedy.close({ timeout: 0 });
  };
}

/** Mails that are under way: to a server that answers, hardly any at a time. */
export async function mailsInHands({ database }: FaultShop): Promise<number> {
  const [row] = await database("mail").sql<{ count: number }[]>`
    select count(*)::int as count from jobs where type = 'mail.deliver' and unanswered > 0`;
  return row?.count ?? 0;
}

/** Timers that are due soon. */
export async function timersSoon({ database, soon }: FaultShop, ms = SEEN_MS): Promise<Date> {
  const due = soon(ms);
  await database("order").sql`
    update jobs set due_at = ${due} where (job_id, bucket) in (
      select job_id, bucket from jobs where type = 'order.payment-deadline' and due_at > ${due} limit ${TIMERS})`;
  return due;
}

/** A transaction that somebody began and forgot, with a lock on timers that are due: workers go around them. */
export async function holdTimers(place: FaultShop) {
  const due = await timersSoon(place, HELD_BY_MS);
  const somebody = new SQL(place.urlOf("order"), { max: 1 });
  const session = await somebody.reserve();
  await session`begin`;
  const held = await session`
    select job_id from jobs where type = 'order.payment-deadline' and due_at <= ${due.toISOString()}::timestamptz for update`;
  if (held.length === 0) throw new Error("expected timers that are due soon, found none");
  return async () => {
    await session`rollback`;
    session.release();
    await somebody.close({ timeout: 0 });
  };
}

/** A teller that tells a sum a second time, under another id: no inbox can know it. */
export async function tellTwice({ database }: FaultShop) {
  const [fact] = await database("broker").sql<{ key: string; body: Uint8Array }[]>`
    select key, body from facts where type = 'sum.calculated' order by position desc limit 1`;
  if (!fact) throw new Error("expected a sum that was told, found none");
  await database("canary").sql`
    insert into outbox (id, aggregatetype, aggregateid, type, payload, time, traceparent, correlation_id)
    values (${crypto.randomUUID()}, 'user-events', ${fact.key}, 'sum.calculated', ${fact.body}, now(), '', 'told twice')`;
  // Who has looked into it takes it off the books.
  return () => database("canary").sql`update arrivals set times = 1 where times > 1`;
}
