import type { Log } from "../telemetry/log.ts";
import { createBell } from "../time/bell.ts";
import { isUuid } from "../time/ids.ts";
import type { Term } from "./campaign.ts";
import { type Database, openDatabase } from "./database.ts";
import { lead } from "./leader.ts";
import { countAt, forgetFacts, indexOutboxIds, markOldest, outboxTopics, pruneOutbox, readAt } from "./outbox.ts";
import { drain, type Publish, RELAY, type Relay } from "./relay.ts";
import { dropSlot, makePublication, makeSlot, slotName, slotState } from "./slot.ts";

/** Calls `came` with the ids of this service's facts on `topic`, as they are read from there; each at least once. */
export type ReadBack = (
  topic: string,
  came: (ids: string[]) => Promise<{ forgotten: number }>,
) => { close(): Promise<void> };

const READER = "bodega_debezium";
const TOPIC_ROWS_MAX = 1_000;
const MARK_ROWS_MAX = 500;

export interface DebeziumTimes {
  lookMs: number;
  /** So long a fact may still be on its way when one that was committed after it has come. */
  overtakenMs: number;
}

const TIMES: DebeziumTimes = { lookMs: 1_000, overtakenMs: 30_000 };

/**
 * Debezium publishes, this keeps its books. A fact stays in the outbox until it was read back from where Debezium writes it, so that nothing is forgotten
 * that is not out, whoever failed. It publishes by itself only what Debezium cannot have: what was committed before its slot was made, and what
 * was overtaken by a later fact and does not come.
 */
export function startDebeziumRelay(
  database: Database,
  url: string,
  publish: Publish,
  readBack: ReadBack,
  log: Log,
  times = TIMES,
): Relay {
  const bell = createBell();
  const slot = slotName(READER, database);
  const reader = openDatabase(url, "relay");
  const running = lead(database, RELAY, bell, log, async (term) => {
    await indexOutboxIds(database.sql);
    const arrivals = readArrivals(database, readBack);
    const overtaken = watchOvertaken(database, publish, log, times);
    try {
      while (term.alive()) {
        if ((await slotState(database, slot)) !== "whole") await beginSlot(database, reader, term, slot, publish, log);
        await arrivals.hear(await outboxTopics(database.sql, TOPIC_ROWS_MAX));
        await overtaken(arrivals.highest());
        await bell.rung(times.lookMs);
      }
    } finally {
      await arrivals.close();
    }
  });
  return {
    // The write-ahead log wakes Debezium.
    wake: () => {},
    async close() {
      bell.close();
      await running;
      await reader.close();
    },
  };
}

/** What was committed before the slot is not in it, and goes out first. What was committed meanwhile may go out twice. */
async function beginSlot(database: Database, reader: Database, term: Term, slot: string, publish: Publish, log: Log) {
  if ((await slotState(database, slot)) === "lost") await dropSlot(reader, slot);
  await drain(database, term, publish);
  await makePublication(database);
  await makeSlot(reader, slot);
  await drain(database, term, publish);
  log.info("relay.slot_made", { slot });
}

/** Reads back the topics it is told of, and forgets what comes. */
function readArrivals(database: Database, readBack: ReadBack) {
  const topics = new Map<string, { close(): Promise<void> }>();
  let highest = 0n;
  const came = async (ids: string[]) => {
    const positions = await forgetFacts(database.sql, ids.filter(isUuid));
    for (const position of positions) if (position > highest) highest = position;
    return { forgotten: positions.length };
  };
  return {
    hear(names: string[]) {
      for (const name of names) if (!topics.has(name)) topics.set(name, readBack(name, came));
    },
    /** The highest position that has come. */
    highest: () => highest,
    close: () => Promise.all([...topics.values()].map((each) => each.close())),
  };
}

/**
 * A log is read in the order of commits: when a fact has come that was committed after another, the other is out too, or never will be, as when the slot
 * was lost and made anew by somebody else. One that is taken for lost too early comes twice, which consumers expect.
 */
function watchOvertaken(database: Database, publish: Publish, log: Log, { lookMs, overtakenMs }: DebeziumTimes) {
  let mark: Awaited<ReturnType<typeof markOldest>>;
  let looks = 0;
  return async (highestCome: bigint) => {
    if (mark && highestCome > mark.highest) looks += 1;
    if (mark && looks * lookMs > overtakenMs) {
      const { oldest } = mark;
      const rows = await readAt(database.sql, oldest);
      if (rows.length > 0) {
        log.warn("relay.overtaken", { count: rows.length, first: rows[0]?.id });
        await publish(rows);
        await pruneOutbox(
          database.sql,
          rows.map(({ position }) => position),
        );
      }
      mark = undefined;
    }
    if (mark && (await countAt(database.sql, mark.oldest)) > 0) return;
    mark = await markOldest(database.sql, MARK_ROWS_MAX);
    looks = 0;
  };
}
