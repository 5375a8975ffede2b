import { LogicalReplicationService, type Pgoutput, PgoutputPlugin } from "pg-logical-replication";
import type { Log } from "../telemetry/log.ts";
import { type Bell, createBell } from "../time/bell.ts";
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
    await stream({ database, reader, url }, read, publish, term.alive, bell);
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

/** A transaction that has told something, as the log has it. */
interface Commit {
  xid: number;
  lsn: string;
  rows: OutboxRow[];
}

async function stream(
  { database, reader, url }: { database: Database; reader: Database; url: string },
  { slot, publication }: { slot: string; publication: string },
  publish: Publish,
  alive: () => boolean,
  bell: Bell,
) {
  const { url: connectionString, ssl } = withTls(url);
  const service = new LogicalReplicationService(
    { connectionString, ...(ssl !== undefined && { ssl }) },
    // The socket is paused while a message's promise is pending; we acknowledge ourselves.
    { acknowledge: { auto: false, timeoutSeconds: 0 }, flowControl: { enabled: true } },
  );
  let failure: unknown;
  const fail = (error: unknown) => {
    failure ??= error;
    bell.ring();
  };
  const arrived = createIntake(bell.ring);
  service.on("error", fail);
  // Answers keep the connection alive, and let the slot follow when other tables write: the outbox itself still holds what is unpublished.
  service.on("heartbeat", (lsn) => void service.acknowledge(lsn));
  service.on("data", arrived.put);
  const plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: [publication] });
  const subscription = service.subscribe(plugin, slot).catch(fail);

  async function carry() {
    while (alive() && !failure) {
      const commits = arrived.take();
      const last = commits.at(-1);
      if (!last) {
        await bell.rung(LOOK_MS);
        continue;
      }
      const rows = commits.flatMap((commit) => commit.rows);
      await untilVisible(database, commits, alive);
      await publish(rows);
      await pruneOutbox(
        database.sql,
        rows.map(({ position }) => position),
      );
      await service.acknowledge(last.lsn);
    }
  }
  try {
    await carry();
  } finally {
    arrived.close();
    // The server ends the stream: the library's own end waits for a socket that it may have paused.
    await reader.sql`select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = ${slot} and active`.catch(
      fail,
    );
    await Promise.race([service.destroy().then(() => subscription), Bun.sleep(END_MS)]);
  }
  if (failure) throw failure;
}

/** What was read and is not carried yet. Transactions that end while others are being published are published together. */
function createIntake(ring: () => void) {
  const commits: Commit[] = [];
  let open: OutboxRow[] = [];
  let waiting = 0;
  let xid = 0;
  let closed = false;
  let room = Promise.withResolvers<void>();
  return {
    /** Its promise is pending while there is no room for more. */
    put(lsn: string, message: Pgoutput.Message): Promise<void> | undefined {
      if (closed) return undefined;
      if (message.tag === "begin") xid = message.xid;
      if (message.tag === "insert" && message.relation.name === "outbox") open.push(outboxRow(message.new));
      if (message.tag !== "commit" || open.length === 0) return undefined;
      commits.push({ xid, lsn, rows: open });
      waiting += open.length;
      open = [];
      ring();
      return waiting < WAITING_ROWS_MAX ? undefined : room.promise;
    },
    /** The oldest transactions, as many as go out at once; one that is larger goes alone. */
    take(): Commit[] {
      let rows = 0;
      const fit = commits.findIndex((commit, index) => {
        rows += commit.rows.length;
        return index > 0 && rows > BATCH_ROWS_MAX;
      });
      const taken = commits.splice(0, fit < 0 ? commits.length : fit);
      waiting -= taken.reduce((sum, commit) => sum + commit.rows.length, 0);
      room.resolve();
      room = Promise.withResolvers();
      return taken;
    },
    close() {
      closed = true;
      room.resolve();
    },
  };
}

/**
 * The log is read before others see the commit: with a synchronous standby, before it will outlast this server. What is told then could be undone, and could not be
 * forgotten yet.
 */
async function untilVisible({ sql }: Database, commits: Commit[], goOn: () => boolean): Promise<void> {
  const xids = commits.map(({ xid }) => String(xid));
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, VISIBLE_LOOK_MS_MAX)) {
    const [row] = await sql<{ visible: boolean }[]>`
      with now as materialized (
        select pg_current_snapshot() as snapshot, pg_snapshot_xmax(pg_current_snapshot())::text::numeric as next
      ), full_ids as (
        select snapshot, next, next - mod(next, 4294967296) + xid as id from now, unnest(${xids}::numeric[]) as xid
      )
      select bool_and(pg_visible_in_snapshot((
        case when id > next + 2147483648 then id - 4294967296 when id < next - 2147483648 then id + 4294967296 else id end
      )::text::xid8, snapshot)) as visible from full_ids`;
    if (row?.visible) return;
    if (!goOn()) throw new Error(`transactions ${xids} were not visible before the relay stopped`);
    await Bun.sleep(pauseMs);
  }
}

const DRAIN_MS = 50;
const VISIBLE_LOOK_MS_MAX = 100;
const LOOK_MS = 250;
const BATCH_ROWS_MAX = 500;
/** So many rows are kept in memory; the rest stays in the log. */
const WAITING_ROWS_MAX = 5_000;
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
