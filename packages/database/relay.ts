import type { Log } from "../telemetry/log.ts";
import { createBell } from "../time/bell.ts";
import type { Term } from "./campaign.ts";
import type { Database } from "./database.ts";
import { lead } from "./leader.ts";
import { nextOutbox, type OutboxRow } from "./outbox.ts";

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
/** What leads a database's facts out of it, whatever its kind. */
export const RELAY = "relay";

/** `pollMs`: how often to look for what other processes have committed. */
export function startPollRelay(database: Database, publish: Publish, log: Log, pollMs = POLL_MS): Relay {
  const bell = createBell();
  const running = lead(database, RELAY, bell, log, (term) => carry(database, term, publish, () => bell.rung(pollMs)));
  return {
    wake: bell.ring,
    async close() {
      bell.close();
      await running;
    },
  };
}

/** Publishes until the outbox has been empty. */
export async function drain(database: Database, term: Term, publish: Publish): Promise<void> {
  await carry(database, term, publish, () => undefined);
}

/** Publishes while `term` lasts; when there is nothing more, `pause` says whether to look again. */
async function carry(database: Database, term: Term, publish: Publish, pause: () => Promise<unknown> | undefined) {
  for (let published: bigint[] = []; ; ) {
    const rows = await nextOutbox(database.sql, term, published, BATCH_ROWS_MAX);
    published = rows.map(({ position }) => position);
    // Who was stopped since it asked has been followed by another, who has gone on from there.
    if (!term.alive()) return;
    if (rows.length > 0) await publish(rows);
    else {
      const waiting = pause();
      if (waiting === undefined) return;
      await waiting;
    }
  }
}
