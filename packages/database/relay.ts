import type { Log } from "../telemetry/log.ts";
import type { Database, Session } from "./database.ts";
import { hasOutbox, type OutboxRow, takeOutbox } from "./outbox.ts";

/**
 * Carries the outbox to the events port: every committed fact at least once, in commit order per aggregate.
 * One relay works per database at a time; others stand by.
 */
export interface Relay {
  /** Something was committed: look now instead of at the next poll. */
  wake(): void;
  close(): Promise<void>;
}

/** How facts leave the outbox: taken from the table, read from the write-ahead log, or read from there by Debezium. */
export type RelayKind = "poll" | "wal" | "debezium";

/** Resolves when the events port has taken the facts for good, in this order. */
export type Publish = (rows: OutboxRow[]) => Promise<void>;

const BATCH_ROWS_MAX = 500;
const POLL_MS = 100;
const RETRY_MS = 500;
/** Any number that no other advisory lock of the platform uses. */
export const RELAY_LOCK = 7_202;

/** `pollMs`: how often to look for what other processes have committed. */
export function startPollRelay(database: Database, publish: Publish, log: Log, pollMs = POLL_MS): Relay {
  const bell = createBell();
  const running = lead(database, RELAY_LOCK, bell, log, async (alive) => {
    while (alive()) {
      const rows = await publishOldest(database, publish);
      if (rows < BATCH_ROWS_MAX) await rungOrFilled(database, bell, pollMs, alive);
    }
  });
  return {
    wake: bell.ring,
    async close() {
      bell.close();
      await running;
    },
  };
}

/** Publishes until the outbox has been empty. */
export async function drain(database: Database, publish: Publish): Promise<void> {
  while ((await publishOldest(database, publish)) > 0);
}

function publishOldest(database: Database, publish: Publish): Promise<number> {
  return database.transaction(async (sql) => {
    const taken = await takeOutbox(sql, BATCH_ROWS_MAX);
    if (taken.length > 0) await publish(taken);
    return taken.length;
  });
}

/** Nearly every poll finds nothing: it is one statement, not a transaction. */
async function rungOrFilled(database: Database, bell: Bell, pollMs: number, alive: () => boolean) {
  while (!(await bell.rung(pollMs)) && alive()) if (await hasOutbox(database.sql)) return;
}

/**
 * Runs `work` while this process holds the advisory lock: one leader per database. A leader that fails, or whose session is lost, lets go and tries again.
 */
export async function lead(
  database: Database,
  lock: number,
  bell: Bell,
  log: Log,
  work: (alive: () => boolean) => Promise<void>,
): Promise<void> {
  while (!bell.closed()) {
    const session = database.session();
    let pause = true;
    try {
      pause = !(await tryLock(session, lock));
      if (!pause) await work(() => !bell.closed() && !session.lost());
    } catch (error) {
      pause = true;
      if (!bell.closed()) log.error("relay.failed", error);
    } finally {
      await session.close();
    }
    // Waiting comes after letting go: a leader that fails must leave the lock to others meanwhile.
    if (pause) await bell.rung(RETRY_MS);
  }
}

async function tryLock({ sql }: Session, lock: number): Promise<boolean> {
  const [row] = await sql<{ locked: boolean }[]>`select pg_try_advisory_lock(${lock}) as locked`;
  return row?.locked ?? false;
}

/** A wake-up call that is not lost when nobody waits yet. */
export interface Bell {
  ring(): void;
  /** Resolves true when rung or closed, false after `ms`. */
  rung(ms: number): Promise<boolean>;
  close(): void;
  closed(): boolean;
}

export function createBell(): Bell {
  let pending = false;
  let closed = false;
  let waiter: (() => void) | undefined;
  const wake = () => {
    pending = true;
    waiter?.();
  };
  return {
    ring: wake,
    closed: () => closed,
    close() {
      closed = true;
      wake();
    },
    async rung(ms) {
      if (!pending && !closed) {
        const { promise, resolve } = Promise.withResolvers<void>();
        const timer = setTimeout(resolve, ms);
        waiter = resolve;
        await promise;
        clearTimeout(timer);
        waiter = undefined;
      }
      const rung = pending;
      pending = false;
      return rung || closed;
    },
  };
}
