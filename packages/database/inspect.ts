import { counted, type Inspection, sized, type Trouble } from "../telemetry/inspection.ts";
import type { Sql } from "./database.ts";
import type { CopyState, Replicas } from "./replicas.ts";

const MIB = 1024 ** 2;
/** Of the connections that the server lets in. */
const FULL = 0.9;
/** A copy that is further behind is not read from. */
const BEHIND_BYTES_MAX = 64 * MIB;
/** A reader that keeps up holds back less. */
const HELD_BYTES_MAX = 1024 * MIB;

export interface Asked {
  /** Each service's database. The first one's server is the one told of. */
  databases: { name: string; sql: Sql }[];
  replicas?: Replicas | undefined;
}

/** The server, its copies, and how much each service has in it. */
export async function inspectServer({ databases, replicas }: Asked): Promise<Inspection> {
  const [first] = databases;
  if (!first) throw new Error("expected a database, found none");
  const [server] = await first.sql<{ version: string; connections: number; connections_max: number }[]>`
    select split_part(current_setting('server_version'), ' ', 1) as version, current_setting('max_connections')::int as connections_max,
    (select sum(numbackends) from pg_stat_database)::int as connections`;
  if (!server) throw new Error("expected one row of the server, found none");
  const { version, connections, connections_max: connectionsMax } = server;
  const sizes = await Promise.all(databases.map(sizeOf));
  const copies = (await replicas?.states()) ?? [];
  const total = sizes.reduce((sum, { bytes }) => sum + bytes, 0);
  const shown = copies.length > 0 ? `, ${counted(copies.length, "copy", "copies")}` : "";
  return {
    found: `PostgreSQL ${version}, ${sized(total)}, ${connections} of ${connectionsMax} connections${shown}`,
    figures: { version, connections, connectionsMax, sizes, copies },
    troubles: [...connectionTroubles(connections, connectionsMax), ...copies.flatMap(copyTroubles)],
  };
}

async function sizeOf({ name, sql }: Asked["databases"][number]): Promise<{ service: string; bytes: number }> {
  const [row] = await sql<{ bytes: bigint }[]>`select pg_database_size(current_database()) as bytes`;
  return { service: name, bytes: Number(row?.bytes ?? 0) };
}

function connectionTroubles(connections: number, connectionsMax: number): Trouble[] {
  if (connections <= FULL * connectionsMax) return [];
  return [
    {
      says: `${connections} of ${connectionsMax} connections are in use`,
      fix: "raise max_connections of PostgreSQL, or run fewer processes of the services",
    },
  ];
}

function copyTroubles({ at, behindBytes }: CopyState): Trouble[] {
  if (behindBytes === null)
    return [
      {
        says: `the copy at ${at} gives no answer, or is no copy`,
        fix: "start it, or take it out of DATABASE_REPLICA_URLS",
      },
    ];
  if (behindBytes > BEHIND_BYTES_MAX)
    return [
      {
        says: `the copy at ${at} is ${sized(behindBytes)} of log behind, and not read from`,
        fix: "is its machine overloaded, or a long query open there? select * from pg_stat_activity",
      },
    ];
  return [];
}

interface SlotRow {
  slot_name: string;
  slot_type: "logical" | "physical";
  active: boolean;
  /** Lost when the server has given it up. */
  wal_status: string | null;
  held_bytes: number;
}

/** Who reads the server's write-ahead log, and how much of it the server keeps for them. */
export async function inspectSlots(sql: Sql): Promise<Inspection> {
  const rows = await sql<SlotRow[]>`
    select slot_name, slot_type, active, wal_status, coalesce(pg_current_wal_lsn() - restart_lsn, 0)::float8 as held_bytes
    from pg_replication_slots where not temporary order by slot_name`;
  const slots = rows.map(slotOf);
  const held = Math.max(0, ...slots.map(({ heldBytes }) => heldBytes));
  return {
    found: slots.length === 0 ? "none" : `${counted(slots.length, "slot")}, ${sized(held)} of log kept for them`,
    figures: { slots },
    troubles: slots.flatMap(slotTroubles),
  };
}

function slotOf({ slot_name, slot_type, active, wal_status, held_bytes }: SlotRow) {
  return { slot: slot_name, kind: slot_type, active, status: wal_status, heldBytes: held_bytes };
}

function slotTroubles({ slot, kind, active, status, heldBytes }: ReturnType<typeof slotOf>): Trouble[] {
  const drop = `psql -c "select pg_drop_replication_slot('${slot}')" when nothing reads it any more`;
  const reader =
    kind === "physical"
      ? "start the replica that follows by it"
      : "start its reader: with RELAY=wal the service, with RELAY=debezium Kafka Connect (docs/runbooks/OutboxBehind.md)";
  if (status === "lost")
    return [
      {
        says: `slot ${slot} is lost: its reader was away for more log than the server keeps`,
        fix: `the service makes its own anew when it starts; ${drop}`,
      },
    ];
  if (!active)
    return [
      {
        says: `slot ${slot} is not active: the server keeps ${sized(heldBytes)} of log for it`,
        fix: `${reader}; ${drop}`,
      },
    ];
  if (heldBytes > HELD_BYTES_MAX)
    return [{ says: `the reader of slot ${slot} is ${sized(heldBytes)} of log behind`, fix: `is it stuck? ${reader}` }];
  return [];
}
