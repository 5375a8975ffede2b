import { LogicalReplicationService, PgoutputPlugin } from "pg-logical-replication";
import type { Log } from "../telemetry/log.ts";
import { createBell } from "../time/bell.ts";
import type { Term } from "./campaign.ts";
import { type Database, openDatabase } from "./database.ts";
import { lead } from "./leader.ts";
import { type OutboxRow, pruneOutbox } from "./outbox.ts";
import { drain, type Publish, RELAY, type Relay } from "./relay.ts";
import { dropSlot, makePublication, makeSlot, slotName, slotState } from "./slot.ts";
import { withTls } from "./url.ts";

const READER = "bodega_relay";

/**
 * A relay that reads the write-ahead log: a permanent logical replication slot, acknowledged only after the facts were published. `url` is of a user who may
 * read the log. What was committed before the slot existed, or lies in the table after a crash, goes out first by reading the table; a slot that the server gave
 * up, because its reader was away for too much log, is made anew.
 */
export function startWalRelay(database: Database, url: string, publish: Publish, log: Log): Relay {
  const bell = createBell();
  const reader = openDatabase(url, "relay");
  const running = lead(database, RELAY, bell, log, async (term) => {
    const read = await beginReading(database, reader, term, publish, log);
    await stream({ database, reader, url }, read, publish, term.alive, (ms) => bell.rung(ms));
  });
  return {
    // The write-ahead log wakes this relay by itself.
    wake: () => {},
    async close() {
      bell.close();
      await running;
      await reader.close();
    },
  };
}

async function beginReading(database: Database, reader: Database, term: Term, publish: Publish, log: Log) {
  const slot = slotName(READER, database);
  await drain(database, term, publish);
  const publication = await makePublication(database);
  if ((await slotState(reader, slot)) === "lost") {
    log.warn("relay.slot_lost", { slot });
    await dropSlot(reader, slot);
  }
  // The server waits for all transactions that run now to end: meanwhile facts go out by the table.
  let made = false;
  const making = makeSlot(reader, slot).finally(() => {
    made = true;
  });
  while (!made) {
    await drain(database, term, publish);
    await Promise.race([making, Bun.sleep(DRAIN_MS)]);
  }
  await making;
  // What was committed while the slot was being made is in the table, not in the slot.
  await drain(database, term, publish);
  return { slot, publication };
}

async function stream(
  { database, reader, url }: { database: Database; reader: Database; url: string },
  { slot, publication }: { slot: string; publication: string },
  publish: Publish,
  alive: () => boolean,
  pause: (ms: number) => Promise<unknown>,
) {
  const { url: connectionString, ssl } = withTls(url);
  const service = new LogicalReplicationService(
    { connectionString, ...(ssl !== undefined && { ssl }) },
    // Messages are handled one after another, the socket paused meanwhile; we acknowledge ourselves.
    { acknowledge: { auto: false, timeoutSeconds: 0 }, flowControl: { enabled: true } },
  );
  let failure: unknown;
  let stopping = false;
  let handling = Promise.resolve();
  let waiting: OutboxRow[] = [];
  let xid = 0;
  service.on("error", (error) => {
    failure ??= error;
  });
  // Answers keep the connection alive, and let the slot follow when other tables write: the outbox itself still holds what is unpublished.
  service.on("heartbeat", (lsn) => void service.acknowledge(lsn));
  service.on("data", (lsn, message) => {
    if (stopping) return undefined;
    if (message.tag === "begin") xid = message.xid;
    if (message.tag === "insert" && message.relation.name === "outbox") waiting.push(outboxRow(message.new));
    if (message.tag !== "commit" || waiting.length === 0) return undefined;
    const rows = waiting;
    waiting = [];
    handling = untilVisible(database, xid, () => !stopping)
      .then(() => publish(rows))
      .then(() =>
        pruneOutbox(
          database.sql,
          rows.map((row) => row.position),
        ),
      )
      .then(() => service.acknowledge(lsn))
      .then(
        () => {},
        (error: unknown) => {
          failure ??= error;
          stopping = true;
        },
      );
    return handling;
  });
  const plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: [publication] });
  const subscription = service.subscribe(plugin, slot).catch((error: unknown) => {
    failure ??= error;
  });
  while (alive() && !failure) await pause(LOOK_MS);
  stopping = true;
  await handling;
  // The server ends the stream: the library's own end waits for a socket that it may have paused.
  await reader.sql`select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = ${slot} and active`.catch(
    (error: unknown) => {
      failure ??= error;
    },
  );
  await Promise.race([service.destroy().then(() => subscription), Bun.sleep(END_MS)]);
  if (failure) throw failure;
}

/**
 * The log is read before others see the commit: with a synchronous standby, before it will outlast this server. What is told then could be undone, and could not be
 * forgotten yet.
 */
async function untilVisible({ sql }: Database, xid: number, goOn: () => boolean): Promise<void> {
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, VISIBLE_LOOK_MS_MAX)) {
    const [row] = await sql<{ visible: boolean }[]>`
      with now as (select pg_current_snapshot() as snapshot, pg_snapshot_xmax(pg_current_snapshot())::text::numeric as next),
      full_id as (select snapshot, next, next - mod(next, 4294967296) + ${xid}::numeric as id from now)
      select pg_visible_in_snapshot((case when id > next + 2147483648 then id - 4294967296 when id < next - 2147483648 then id + 4294967296 else id end)::text::xid8, snapshot) as visible from full_id`;
    if (row?.visible) return;
    if (!goOn()) throw new Error(`transaction ${xid} was not visible before the relay stopped`);
    await Bun.sleep(pauseMs);
  }
}

const DRAIN_MS = 50;
const VISIBLE_LOOK_MS_MAX = 100;
const LOOK_MS = 250;
const END_MS = 2_000;

/** pgoutput gives text for what the `pg` library has no parser for. */
function outboxRow(row: Record<string, unknown>): OutboxRow {
  return {
    position: BigInt(String(row["position"])),
    id: String(row["id"]),
    topic: String(row["aggregatetype"]),
    key: String(row["aggregateid"]),
    type: String(row["type"]),
    body: bytes(row["payload"]),
    time: new Date(String(row["time"] instanceof Date ? row["time"].toISOString() : row["time"])),
    traceparent: String(row["traceparent"]),
    correlationId: String(row["correlation_id"] ?? row["request_id"] ?? ""),
  };
}

function bytes(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  return Buffer.from(String(value).slice(2), "hex");
}
