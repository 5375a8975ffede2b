import type { FactEnvelope } from "../api/envelope.ts";
import type { Term } from "../database/campaign.ts";
import type { Database, Sql } from "../database/database.ts";
import { correlationId, ENVELOPE, envelopeRow } from "../database/envelope.ts";
import { lead, leads } from "../database/leader.ts";
import { LOCKS } from "../database/lock-numbers.ts";
import { createRecent, type Found, type Recent } from "../database/recent.ts";
import { namesOf, rowsOf, table } from "../database/table.ts";
import type { Log } from "../telemetry/log.ts";
import { backoffMs, SOON } from "../time/backoff.ts";
import { type Bell, createBell } from "../time/bell.ts";
import { inspectLog } from "./embedded-inspect.ts";
import type { Events, FactHandler, Subscription } from "./events.ts";
import { forgetBefore, forgetFacts, REPEAT_MS, retireGroups } from "./forget.ts";

const BATCH_MESSAGES_MAX = 200;
const POLL_MS = 200;
const PRUNE_EVERY_MS = 60_000;

/** The log of facts in a PostgreSQL database of its own: one order for all, an offset per group. `pollMs`: how often to look for what other processes tell. */
export function createEmbeddedEvents(database: Database, log: Log, now: () => Date, pollMs = POLL_MS): Events {
  const listeners = new Set<Listener>();
  const registering = new Set<Promise<void>>();
  const recent = createRecent<FactEnvelope>();
  const closing = new AbortController();
  let prunedAt = Number.NEGATIVE_INFINITY;
  let pruning: Promise<void> | undefined;

  /** Nobody who tells something waits for it, and its failure is not theirs. One at a time: where time runs fast it would never be done. */
  function prune() {
    if (pruning || now().getTime() - prunedAt < PRUNE_EVERY_MS) return;
    prunedAt = now().getTime();
    pruning = forgetOld()
      .catch((error: unknown) => log.error("events.unforgotten", error))
      .finally(() => {
        pruning = undefined;
      });
  }

  async function forgetOld() {
    for (const group of await retireGroups(database.sql)) log.warn("events.group_retired", { group });
    await forgetFacts(database.sql, forgetBefore(now()), closing.signal);
  }

  return {
    async publish(messages) {
      await append(database.sql, messages, now());
      recent.add(messages);
      for (const { interest, bell } of listeners) if (messages.some((fact) => wants(interest, fact))) bell.ring();
      prune();
    },
    subscribe(group, topics, handler, types = () => []) {
      const bell = createBell();
      const interest: Interest = { group, topics, types: types() };
      // Known from the first moment on, so that what is published now counts as undelivered to this group.
      const registered = register(database.sql, interest).catch((error: unknown) =>
        log.error("events.unregistered", error, { group }),
      );
      registering.add(registered);
      const running = lead(database, `group ${group}`, bell, log, (term) =>
        read(database, interest, handler, { types, bell, pollMs, log, term, recent }),
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
    async repeatMs() {
      return new Map([...listeners].flatMap(({ interest }) => interest.topics.map((topic) => [topic, REPEAT_MS])));
    },
    async inspect() {
      await Promise.all(registering);
      return inspectLog(database.sql);
    },
    async close() {
      closing.abort();
      await Promise.all([...listeners].map((listener) => listener.close()));
      await pruning;
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
  /** As they were named last. Empty: all. */
  types: string[];
}

function wants({ topics, types }: Interest, { topic, type }: FactEnvelope): boolean {
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
  types: () => string[];
  bell: Bell;
  pollMs: number;
  log: Log;
  term: Term;
  recent: Recent<FactEnvelope>;
}

async function read(
  database: Database,
  interest: Interest,
  handler: FactHandler,
  { types, bell, pollMs, log, term, recent }: Reading,
) {
  await register(database.sql, interest);
  for (let failures = 0, handled = 0n; ; ) {
    interest.types = types();
    const { upTo, found } = await nextFacts(database.sql, interest, term, handled);
    const facts = await recent.first(found, (positions) => readAt(database.sql, positions));
    // What is left of those that were found is found again.
    const reached = facts.length < found.length ? found[facts.length - 1]?.position : upTo;
    handled = 0n;
    if (!term.alive()) return;
    if (!reached) {
      await bell.rung(pollMs);
      continue;
    }
    try {
      if (facts.length > 0) await handler(facts);
      handled = reached;
      failures = 0;
    } catch (error) {
      failures += 1;
      log.error("events.redelivering", error, { group: interest.group, failures });
      await bell.rung(backoffMs(failures, SOON));
    }
  }
}

async function register(sql: Sql, { group, topics, types }: Interest): Promise<void> {
  await sql`
    insert into fact_offsets (consumer, topics, types, position) values (${group}, ${topics}, ${types}, 0)
    on conflict (consumer) do update set topics = excluded.topics, types = excluded.types, hours_missing = 0`;
}

/**
 * Notes what a group has handled, and finds the next facts that it wants, and how far in the log they reach with those it does not; null at its end, and for who
 * does not lead the group any more.
 */
async function nextFacts(
  sql: Sql,
  { group, topics, types }: Interest,
  term: Term,
  handled: bigint,
): Promise<{ upTo: bigint | null; found: Found[] }> {
  const rows = await sql<{ up_to: bigint | null; position: bigint | null; id: string | null }[]>`
    with lead as materialized (select ${leads(sql, term)} as lasts),
    noted as (
      update fact_offsets set position = ${handled} where consumer = ${group} and position < ${handled} and (select lasts from lead)
    ), next as materialized (
      select position, id, type from facts
      where (select lasts from lead) and topic = any(${topics}) and position > greatest(${handled}, (select position from fact_offsets where consumer = ${group}))
      order by position limit ${BATCH_MESSAGES_MAX}
    ) select up_to, position, id
    from (select max(position) as up_to from next) as all_of_them left join next on ${types.length === 0} or type = any(${types})
    order by position`;
  const found = rows.flatMap(({ position, id }) => (position !== null && id !== null ? { position, id } : []));
  return { upTo: rows[0]?.up_to ?? null, found };
}

function readAt(sql: Sql, positions: bigint[]): Promise<FactEnvelope[]> {
  return sql<FactEnvelope[]>`
    select id, type, topic, key, source, time, body, traceparent, ${correlationId(sql)} from facts
    where position = any(${positions.map(String)}::bigint[])`;
}

const FACTS = table("facts", { id: "uuid", topic: "text", appended_at: "timestamptz", ...ENVELOPE });

/** Appends take turns, so that positions become visible in their order and no reader passes one that is still to come. */
async function append(sql: Sql, messages: FactEnvelope[], appendedAt: Date) {
  const rows = messages.map((fact) => ({
    ...envelopeRow(fact),
    ...{ id: fact.id, topic: fact.topic, appended_at: appendedAt },
  }));
  await sql`
    with turn as materialized (select pg_advisory_xact_lock(${LOCKS.append}))
    insert into facts (${namesOf(sql, FACTS)}) select ${namesOf(sql, FACTS)} from turn, ${rowsOf(sql, FACTS, rows)} as told`;
}
