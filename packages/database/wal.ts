import { LogicalReplicationService, PgoutputPlugin } from "pg-logical-replication";
import type { Log } from "../telemetry/log.ts";
import type { Database } from "./database.ts";
import { type OutboxRow, pruneOutbox, takeOutbox } from "./outbox.ts";
import { createBell, lead, type Publish, RELAY_LOCK, type Relay } from "./relay.ts";

const SLOT = "bodega_relay";
const PUBLICATION = "bodega_outbox";
const BATCH_ROWS_MAX = 500;

/**
 * A relay that reads the write-ahead log: a permanent logical replication slot, acknowledged only after the facts were published.
 * What was committed before the slot existed, or lies in the table after a crash, goes out first by reading the table.
 */
export function startWalRelay(database: Database, url: string, publish: Publish, log: Log): Relay {
  const bell = createBell();
  const running = lead(database, RELAY_LOCK, bell, log, async (alive) => {
    await prepare(database);
    await drain(database, publish);
    await stream(database, url, publish, alive, (ms) => bell.rung(ms));
  });
  return {
    // The log wakes this relay by itself.
    wake: () => {},
    async close() {
      bell.close();
      await running;
    },
  };
}

async function prepare({ sql }: Database) {
  await sql.unsafe(`create publication ${PUBLICATION} for table outbox with (publish = 'insert')`).catch(unlessExists);
  await sql`select pg_create_logical_replication_slot(${slotName(sql.options.database)}, 'pgoutput')`.catch(
    unlessExists,
  );
}

/** Slots are named per server, publications per database. */
function slotName(database: string): string {
  return `${SLOT}_${database}`.slice(0, 63);
}

function unlessExists(error: unknown) {
  if (error instanceof Error && "code" in error && error.code === "42710") return;
  throw error;
}

async function drain(database: Database, publish: Publish) {
  for (;;) {
    const rows = await database.transaction(async (sql) => {
      const taken = await takeOutbox(sql, BATCH_ROWS_MAX);
      if (taken.length > 0) await publish(taken);
      return taken.length;
    });
    if (rows === 0) return;
  }
}

async function stream(
  database: Database,
  url: string,
  publish: Publish,
  alive: () => boolean,
  pause: (ms: number) => Promise<void>,
) {
  const service = new LogicalReplicationService(
    { connectionString: url },
    { acknowledge: { auto: false, timeoutSeconds: 0 }, flowControl: { enabled: true } },
  );
  let failure: unknown;
  let waiting: OutboxRow[] = [];
  service.on("error", (error) => {
    failure = error;
  });
  service.on("data", async (lsn, message) => {
    if (message.tag === "insert" && message.relation.name === "outbox") waiting.push(outboxRow(message.new));
    if (message.tag !== "commit" || waiting.length === 0) return;
    const rows = waiting;
    waiting = [];
    try {
      await publish(rows);
      const last = rows.reduce((max, row) => (row.position > max ? row.position : max), 0n);
      await service.acknowledge(lsn);
      await pruneOutbox(database.sql, last);
    } catch (error) {
      failure = error;
    }
  });
  const plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: [PUBLICATION] });
  const subscription = service.subscribe(plugin, slotName(database.sql.options.database)).catch((error: unknown) => {
    failure = error;
  });
  while (alive() && !failure) await pause(LOOK_MS);
  await service.destroy();
  await subscription;
  if (failure) throw failure;
}

const LOOK_MS = 1_000;

/** pgoutput gives text for what the `pg` library has no parser for. */
function outboxRow(row: Record<string, unknown>): OutboxRow {
  return {
    position: BigInt(String(row["position"])),
    id: String(row["id"]),
    aggregatetype: String(row["aggregatetype"]),
    aggregateid: String(row["aggregateid"]),
    type: String(row["type"]),
    payload: bytes(row["payload"]),
    time: new Date(String(row["time"] instanceof Date ? row["time"].toISOString() : row["time"])),
    traceparent: String(row["traceparent"]),
    request_id: String(row["request_id"]),
  };
}

function bytes(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  return Buffer.from(String(value).slice(2), "hex");
}
