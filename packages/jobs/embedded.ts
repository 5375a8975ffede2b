import type { Envelope } from "../api/envelope.ts";
import type { Database, Sql } from "../database/database.ts";
import { ENVELOPE, envelopeColumns, envelopeRow } from "../database/envelope.ts";
import { insertRows, table } from "../database/table.ts";
import type { Log } from "../telemetry/log.ts";
import { backoffMs, SOON } from "../time/backoff.ts";
import { type Bell, createBell } from "../time/bell.ts";
import { systemClock } from "../time/clock.ts";
import { inspectQueued } from "./embedded-inspect.ts";
import type { JobHandler, Jobs, Subscription } from "./jobs.ts";
import { onceASecond } from "./wake-ups.ts";

const BATCH_MESSAGES_MAX = 100;
const POLL_MS = 200;

/**
 * Queues in a PostgreSQL database of their own. A job is deleted in the transaction that waits for its handler. `pollMs`: how often to look for what
 * other processes send.
 */
export function createEmbeddedJobs(database: Database, log: Log, pollMs = POLL_MS): Jobs {
  const receivers = new Set<Receiver>();
  const timers = new Set<ReturnType<typeof setTimeout>>();
  const { now } = systemClock();
  const receiversOf = (queue: string) => [...receivers].filter((receiver) => receiver.queue === queue);
  return {
    async send(queue, messages) {
      await add(database.sql, queue, messages);
      for (const { bell } of receiversOf(queue)) bell.ring();
    },
    receive(queue, handler, woken = () => {}) {
      const bell = createBell();
      const running = work(database, { queue, pollMs }, handler, bell, log);
      const receiver: Receiver = {
        queue,
        bell,
        woken,
        async close() {
          receivers.delete(receiver);
          bell.close();
          await running;
        },
      };
      receivers.add(receiver);
      return receiver;
    },
    // Only those in this process: the others look into the database every second.
    wakeLater: onceASecond(
      () => now().getTime(),
      (queue, ms) => {
        const timer = setTimeout(() => {
          timers.delete(timer);
          for (const { woken } of receiversOf(queue)) woken();
        }, ms);
        timers.add(timer.unref());
      },
    ),
    async undelivered() {
      const [row] = await database.sql<{ count: bigint }[]>`select count(*) as count from queued`;
      return Number(row?.count ?? 0);
    },
    inspect: () =>
      inspectQueued(
        database.sql,
        Array.from(receivers, ({ queue }) => queue),
      ),
    async close() {
      for (const timer of timers) clearTimeout(timer);
      await Promise.all([...receivers].map((receiver) => receiver.close()));
    },
  };
}

interface Receiver extends Subscription {
  queue: string;
  bell: Bell;
  woken: () => void;
}

interface Source {
  queue: string;
  pollMs: number;
}

async function work(database: Database, source: Source, handler: JobHandler, bell: Bell, log: Log) {
  const { queue } = source;
  for (let failures = 0; !bell.closed(); ) {
    try {
      const taken = await database.transaction(async (sql) => {
        const rows = await take(sql, queue);
        if (rows.length > 0) await handler(rows);
        return rows.length;
      });
      failures = 0;
      if (taken < BATCH_MESSAGES_MAX) await rungOrFilled(database, source, bell);
    } catch (error) {
      failures += 1;
      if (!bell.closed()) log.error("jobs.redelivering", error, { queue, failures });
      await bell.rung(backoffMs(failures, SOON));
    }
  }
}

/** Nearly every poll finds nothing: it is one statement, not a transaction. */
async function rungOrFilled(database: Database, { queue, pollMs }: Source, bell: Bell) {
  while (!(await bell.rung(pollMs))) {
    const [row] = await database.sql`select from queued where queue = ${queue} order by position limit 1`;
    if (row) return;
  }
}

const QUEUED = table("queued", { queue: "text", id: "uuid", ...ENVELOPE });

async function add(sql: Sql, queue: string, messages: Envelope[]) {
  const rows = messages.map((message) => ({ ...envelopeRow(message), queue, id: message.id }));
  await insertRows(sql, QUEUED, rows);
}

async function take(sql: Sql, queue: string): Promise<Envelope[]> {
  // What a process of the version before sends has no time.
  const rows = await sql<(Envelope & { position: bigint })[]>`
    delete from queued where ctid = any(array(
      select ctid from queued where queue = ${queue} order by position limit ${BATCH_MESSAGES_MAX} for update skip locked))
    returning position, id, ${envelopeColumns(sql, sql`${systemClock().now()}::timestamptz`)}`;
  return rows.sort((a, b) => (a.position < b.position ? -1 : 1)).map(({ position: _, ...job }) => job);
}
