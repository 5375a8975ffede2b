import { type Database, errorCode } from "./database.ts";

const PUBLICATION = "bodega_outbox";
const NAME_LETTERS_MAX = 63;
const IS_THERE_ALREADY = "42710";

/** What readers of the write-ahead log are given: the facts as they are inserted, not that they are forgotten later. */
export async function makePublication({ sql }: Database): Promise<string> {
  await sql.unsafe(`create publication ${PUBLICATION} for table outbox with (publish = 'insert')`).catch(unlessThere);
  return PUBLICATION;
}

/** From now on the server keeps what the slot's reader has not confirmed. The publication must be there before. */
export async function makeSlot({ sql }: Database, slot: string): Promise<void> {
  await sql`select pg_create_logical_replication_slot(${slot}, 'pgoutput')`.catch(unlessThere);
}

/** Slots are named per server, publications per database. */
export function slotName(reader: string, { sql }: Database): string {
  return slotNameIn(sql.options.database, reader);
}

export function slotNameIn(database: string, reader: string): string {
  return `${reader}_${database}`.slice(0, NAME_LETTERS_MAX);
}

/** Whether the slot still has everything: it goes with a server that failed over without it, or by hand, and is broken when its reader is away for too much log. */
export async function slotState({ sql }: Database, slot: string): Promise<"whole" | "lost" | "missing"> {
  const [found] = await sql<{ wal_status: string | null }[]>`
    select wal_status from pg_replication_slots where slot_name = ${slot}`;
  if (!found) return "missing";
  return found.wal_status === "lost" ? "lost" : "whole";
}

/** Without effect when it is not there. */
export async function dropSlot({ sql }: Pick<Database, "sql">, slot: string): Promise<void> {
  await sql`select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = ${slot}`;
}

function unlessThere(error: unknown) {
  if (errorCode(error) !== IS_THERE_ALREADY) throw error;
}
