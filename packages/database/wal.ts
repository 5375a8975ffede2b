import { LogicalReplicationService, PgoutputPlugin } from "pg-logical-replication";
import type { Log } from "../telemetry/log.ts";
import type { Database } from "./database.ts";
import { type OutboxRow, pruneOutbox } from "./outbox.ts";
import { createBell, drain, lead, type Publish, RELAY_LOCK, type Relay } from "./relay.ts";
import { makePublication, makeSlot, slotName } from "./slot.ts";

const READER = "bodega_relay";

/**
 * A relay that reads the write-ahead log: a permanent logical replication slot, acknowledged only after the facts were published.
 * What was committed before the slot existed, or lies in the table after a crash, goes out first by reading the table.
 */
export function startWalRelay(database: Database, url: string, publish: Publish, log: Log): Relay {
  const bell = createBell();
  const running = lead(database, RELAY_LOCK, bell, log, async (alive) => {
    const slot = slotName(READER, database);
    await drain(database, publish);
    const publication = await makePublication(database);
    await makeSlot(database, slot);
    // What was committed while the slot was being made is in the table, not in the slot.
    await drain(database, publish);
    await stream(database, url, { slot, publication }, publish, alive, (ms) => bell.rung(ms));
  });
  return {
    // The write-ahead log wakes this relay by itself.
    wake: () => {},
    async close() {
      bell.close();
      await running;
    },
  };
}

async function stream(
  database: Database,
  url: string,
  { slot, publication }: { slot: string; publication: string },
  publish: Publish,
  alive: () => boolean,
  pause: (ms: number) => Promise<unknown>,
) {
  const service = new LogicalReplicationService(
    { connectionString: url },
    // Messages are handled one after another, the socket paused meanwhile; we acknowledge ourselves.
    { acknowledge: { auto: false, timeoutSeconds: 0 }, flowControl: { enabled: true } },
  );
  let failure: unknown;
  let stopping = false;
  let handling = Promise.resolve();
  let waiting: OutboxRow[] = [];
  service.on("error", (error) => {
    failure ??= error;
  });
  // Answers keep the connection alive, and let the slot follow when other tables write: the outbox itself still holds what is unpublished.
  service.on("heartbeat", (lsn) => void service.acknowledge(lsn));
  service.on("data", (lsn, message) => {
    if (stopping) return undefined;
    if (message.tag === "insert" && message.relation.name === "outbox") waiting.push(outboxRow(message.new));
    if (message.tag !== "commit" || waiting.length === 0) return undefined;
    const rows = waiting;
    waiting = [];
    handling = publish(rows)
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
  await database.sql`select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = ${slot} and active`.catch(
    (error: unknown) => {
      failure ??= error;
    },
  );
  await Promise.race([service.destroy().then(() => subscription), Bun.sleep(END_MS)]);
  if (failure) throw failure;
}

const LOOK_MS = 250;
const END_MS = 2_000;

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
