import type { Database, Sql } from "../database/database.ts";
import { type Bell, createBell, lead } from "../database/relay.ts";
import type { Log } from "../telemetry/log.ts";
import type { Events, FactHandler, FactMessage, Subscription } from "./events.ts";

const BATCH_MESSAGES_MAX = 200;
const POLL_MS = 200;
const RETRY_MS_MIN = 50;
const RETRY_MS_MAX = 5_000;
const PRUNE_EVERY_MS = 60_000;
/** Delivered facts stay readable this long for groups that come later. */
const RETENTION_MS = 7 * 86_400_000;
const APPEND_LOCK = 7_210;
const GROUP_LOCK_BASE = 7_300_000;

/** The log of facts in a PostgreSQL database of its own: one order for all, an offset per group. `pollMs`: how often to look for what other processes tell. */
export function createEmbeddedEvents(database: Database, log: Log, now: () => Date, pollMs = POLL_MS): Events {
  const listeners = new Set<Listener>();
  const registering = new Set<Promise<void>>();
  let prunedAt = 0;

  async function prune() {
    if (now().getTime() - prunedAt < PRUNE_EVERY_MS) return;
    prunedAt = now().getTime();
    await database.sql`delete from facts where appended_at < ${new Date(prunedAt - RETENTION_MS)} and position <= (select min(position) from fact_offsets)`;
  }

  return {
    async publish(messages) {
      await append(database.sql, messages, now());
      for (const { interest, bell } of listeners) if (messages.some((fact) => wants(interest, fact))) bell.ring();
      await prune();
    },
    subscribe(group, topics, handler, types = []) {
      const bell = createBell();
      const interest = { group, topics, types };
      // Known from the first moment on, so that what is published now counts as undelivered to this group.
      const registered = register(database.sql, interest).catch((error: unknown) =>
        log.error("events.unregistered", error, { group }),
      );
      registering.add(registered);
      const running = lead(database, GROUP_LOCK_BASE + hash(group), bell, log, (alive) =>
        read(database, interest, handler, { bell, pollMs, log, alive }),
      );
      const listener: Listener = {
        interest,
        bell,
        async close() {
          listeners.delete(listener);
          bell.close();
          await running;
        },
      };
      listeners.add(listener);
      return listener;
    },
    async undelivered() {
      await Promise.all(registering);
      return countUndelivered(database.sql);
    },
    async close() {
      await Promise.all([...listeners].map((listener) => listener.close()));
    },
  };
}

interface Listener extends Subscription {
  interest: Interest;
  bell: Bell;
}

interface Interest {
  group: string;
  topics: string[];
  /** Empty: all. */
  types: string[];
}

function wants({ topics, types }: Interest, { topic, type }: FactMessage): boolean {
  return topics.includes(topic) && (types.length === 0 || types.includes(type));
}

/** Facts that some group wants and has not handled. What nobody wants is passed over when somebody looks. */
export async function countUndelivered(sql: Sql): Promise<number> {
  const [row] = await sql<{ count: bigint }[]>`
    select count(*) as count from fact_offsets o join facts f
    on f.position > o.position and f.topic = any(o.topics) and (o.types = '{}' or f.type = any(o.types))`;
  return Number(row?.count ?? 0);
}

interface Reading {
  bell: Bell;
  pollMs: number;
  log: Log;
  alive: () => boolean;
}

async function read(
  database: Database,
  interest: Interest,
  handler: FactHandler,
  { bell, pollMs, log, alive }: Reading,
) {
  await register(database.sql, interest);
  for (let failures = 0, handled = 0n; ; ) {
    const { upTo, facts } = await nextFacts(database.sql, interest, handled);
    handled = 0n;
    if (!alive()) return;
    if (upTo === null) {
      await bell.rung(pollMs);
      continue;
    }
    try {
      if (facts.length > 0) await handler(facts);
      handled = upTo;
      failures = 0;
    } catch (error) {
      failures += 1;
      log.error("events.redelivering", error, { group: interest.group, failures });
      await bell.rung(Math.min(RETRY_MS_MIN * 2 ** failures, RETRY_MS_MAX));
    }
  }
}

async function register(sql: Sql, { group, topics, types }: Interest): Promise<void> {
  await sql`
    insert into fact_offsets (consumer, topics, types, position) values (${group}, ${topics}, ${types}, 0)
    on conflict (consumer) do update set topics = excluded.topics, types = excluded.types`;
}

interface FactRow extends Omit<FactMessage, "requestId"> {
  request_id: string;
}

/**
 * Notes what a group has handled, and gives it the next facts that it wants, and how far in the log they reach with those it does not; null at its end.
 */
async function nextFacts(
  sql: Sql,
  { group, topics, types }: Interest,
  handled: bigint,
): Promise<{ upTo: bigint | null; facts: FactMessage[] }> {
  const rows = await sql<(FactRow & { up_to: bigint | null })[]>`
    with noted as (
      update fact_offsets set position = ${handled} where consumer = ${group} and position < ${handled}
    ), next as materialized (
      select * from facts
      where topic = any(${topics}) and position > greatest(${handled}, (select position from fact_offsets where consumer = ${group}))
      order by position limit ${BATCH_MESSAGES_MAX}
    ) select up_to, id, type, topic, key, source, time, body, traceparent, request_id
    from (select max(position) as up_to from next) as all_of_them left join next on ${types.length === 0} or type = any(${types})
    order by position`;
  const wanted = rows.filter(({ id }) => id !== null);
  return { upTo: rows[0]?.up_to ?? null, facts: wanted.map(message) };
}

/** Appends take turns, so that positions become visible in their order and no reader passes one that is still to come. */
async function append(sql: Sql, messages: FactMessage[], appendedAt: Date) {
  const rows = messages.map(({ requestId, body, ...rest }) => ({
    ...rest,
    request_id: requestId,
    body: `\\x${Buffer.from(body).toString("hex")}`,
    appended_at: appendedAt,
  }));
  await sql`
    with turn as materialized (select pg_advisory_xact_lock(${APPEND_LOCK}))
    insert into facts (id, type, topic, key, source, time, body, traceparent, request_id, appended_at)
    select id, type, topic, key, source, time, body, traceparent, request_id, appended_at
    from turn, json_populate_recordset(null::facts, ${JSON.stringify(rows)}::text::json)`;
}

function message({ id, type, topic, key, source, time, body, traceparent, request_id }: FactRow): FactMessage {
  return { id, type, topic, key, source, time, body, traceparent, requestId: request_id };
}

/** A small number for an advisory lock. */
function hash(text: string): number {
  return Bun.hash.crc32(text) % 100_000;
}
