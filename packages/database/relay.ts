import type { Log } from "../telemetry/log.ts";
import { createBell } from "../time/bell.ts";
import type { Term } from "./campaign.ts";
import type { Database } from "./database.ts";
import { lead } from "./leader.ts";
import { nextOutbox, type Outgoing, outgoing, readAt } from "./outbox.ts";
import { createRecent, type Recent } from "./recent.ts";
import type { Row } from "./table.ts";

/**
 * Carries the outbox to the events port: every committed fact at least once, in commit order per aggregate.
 * One relay works per database at a time; others stand by.
 */
export interface Relay {
  /** These rows of the outbox were committed: look now instead of at the next poll. */
  wake(rows?: Row[]): void;
  close(): Promise<void>;
}

/** How facts leave the outbox: taken from the table, read from the write-ahead log, or read from there by Debezium. */
export type RelayKind = "poll" | "wal" | "debezium";

/** Resolves when the events port has taken the facts for good, in this order. */
export type Publish = (facts: Outgoing[]) => Promise<void>;

const BATCH_ROWS_MAX = 500;
const POLL_MS = 100;
/** What leads a database's facts out of it, whatever its kind. */
export const RELAY = "relay";

/** `pollMs`: how often to look for what other processes have committed. */
export function startPollRelay(database: Database, publish: Publish, log: Log, pollMs = POLL_MS): Relay {
  const bell = createBell();
  const recent = createRecent<Outgoing>();
  const running = lead(database, RELAY, bell, log, (term) =>
    carry(database, term, publish, { recent, pause: () => bell.rung(pollMs) }),
  );
  return {
    wake(rows = []) {
      recent.add(rows.map(outgoing));
      bell.ring();
    },
    async close() {
      bell.close();
      await running;
    },
  };
}

/** Publishes until the outbox has been empty. */
export async function drain(database: Database, term: Term, publish: Publish): Promise<void> {
  await carry(database, term, publish, { recent: createRecent(), pause: () => undefined });
}

interface Carrying {
  recent: Recent<Outgoing>;
  /** When there is nothing more, it says whether to look again. */
  pause(): Promise<unknown> | undefined;
}

/** Publishes while `term` lasts. */
async function carry(database: Database, term: Term, publish: Publish, { recent, pause }: Carrying) {
  for (let published: bigint[] = []; ; ) {
    const found = await nextOutbox(database.sql, term, published, BATCH_ROWS_MAX);
    const facts = await recent.first(found, (positions) => readAt(database.sql, positions));
    published = found.slice(0, facts.length).map(({ position }) => position);
    // Who was stopped since it asked has been followed by another, who has gone on from there.
    if (!term.alive()) return;
    if (facts.length > 0) await publish(facts);
    else {
      const waiting = pause();
      if (waiting === undefined) return;
      await waiting;
    }
  }
}
