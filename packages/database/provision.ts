import { createHash, createHmac, hkdfSync } from "node:crypto";
import { errorCode, openDatabase, type Sql } from "./database.ts";
import { LOCKS } from "./lock-numbers.ts";
import type { RelayKind } from "./relay.ts";
import { dropSlot, slotNameIn } from "./slot.ts";
import { StartError } from "./start-error.ts";
import { databaseAt } from "./url.ts";

const NAME = /^[a-z][a-z0-9_]{0,56}$/;
/** Of these two readers of the log a database has at most one: the slot of the other would keep the log for nobody. */
const READERS = { wal: "bodega_relay", debezium: "bodega_debezium" };
const MAKE_S_MAX = 60;
const IN_USE = "55006";
const NOT_ALLOWED = "42501";

export interface Provisioning {
  /** The keys of all services follow from it; who provisions keeps it, and no running service knows it. */
  secret: string;
  names: string[];
  /** Whoever reads the write-ahead log has a role for that, which no service has: it could read the whole server. */
  relay: RelayKind;
  /** Gives databases that were made under another secret to this one. */
  takeOver?: boolean;
}

/**
 * Makes a database and a role of the same name for each service, so that nobody can join across. May run any number of times, by any number of processes.
 * `adminUrl` must be allowed to create roles and databases. Throws StartError for databases that belong to a Bodega with another secret. Returns the URL of each database.
 */
export async function provision(adminUrl: string, wanted: Provisioning): Promise<Map<string, string>> {
  const { names, secret } = wanted;
  if (names.length === 0) return new Map();
  const admin = openDatabase(adminUrl, "provision");
  // Databases are copied when they are made, and other processes may be at it.
  const session = admin.session({ answerTimeoutS: MAKE_S_MAX, settings: { statement_timeout: 1_000 * MAKE_S_MAX } });
  try {
    await session.sql`select pg_advisory_lock(${LOCKS.provision})`;
    for (const name of names) await ensure(session.sql, name, wanted);
  } finally {
    await session.close();
    await admin.close();
  }
  return new Map(names.map((name) => [name, databaseOn(adminUrl, keyOf(secret, name), name)]));
}

/** What the service of that database is told of the secret: from one service's key follows nothing of another's. */
export function keyOf(secret: string, name: string): string {
  return Buffer.from(hkdfSync("sha256", secret, "", `bodega key of ${name}`, 32)).toString("base64url");
}

/** Where a database that `provision` made is, by its service's key; on a replica's URL, where its copy is. */
export function databaseOn(url: string, key: string, name: string): string {
  return databaseAt(url, name, name, passwordOf(key, name));
}

/** The same database for who reads its log. */
export function relayOn(url: string, key: string, name: string): string {
  const role = relayRole(name);
  return databaseAt(url, name, role, passwordOf(key, role));
}

async function ensure(sql: Sql, name: string, { secret, relay, takeOver = false }: Provisioning) {
  if (!NAME.test(name)) throw new Error(`a database name is lower-case letters, digits and underscores, not ${name}`);
  const key = keyOf(secret, name);
  const owned = { mark: markOf(secret), takeOver };
  await ensureRole(sql, name, "noreplication", passwordOf(key, name), owned);
  const [database] = await sql`select from pg_database where datname = ${name}`;
  if (!database) await sql.unsafe(`create database ${name} owner ${name}`);
  await sql.unsafe(`revoke connect on database ${name} from public`);
  for (const [kind, reader] of Object.entries(READERS))
    if (kind !== relay) await dropSlot({ sql }, slotNameIn(name, reader)).catch(unless(IN_USE, NOT_ALLOWED));
  const role = relayRole(name);
  if (relay !== "poll") {
    await ensureRole(sql, role, "replication", passwordOf(key, role), owned);
    await sql.unsafe(`grant connect on database ${name} to ${role}`);
  } else if ((await sql`select from pg_roles where rolname = ${role}`).length > 0) {
    await sql.unsafe(`revoke connect on database ${name} from ${role}`);
    await sql.unsafe(`drop role ${role}`);
  }
}

interface Owned {
  mark: string;
  takeOver: boolean;
}

/** Identifiers and passwords cannot be parameters here: names were checked, passwords and marks are hexadecimal. */
async function ensureRole(sql: Sql, role: string, replication: string, password: string, owned: Owned) {
  const [known] = await sql<{ mark: string | null }[]>`
    select shobj_description(oid, 'pg_authid') as mark from pg_roles where rolname = ${role}`;
  const { mark, takeOver } = owned;
  if (known?.mark && known.mark !== mark && !takeOver)
    throw new StartError(
      `The database role ${role} belongs to a Bodega with another secret, whose passwords would stop to work: give this one the same CLUSTER_SECRET (where none was set, "database" in secrets.json of the other's DATA_DIR), or a DATABASE_URL of its own. "bun services/main.ts provision" takes the databases over.`,
    );
  const rights = `login ${replication} nocreatedb nocreaterole password '${password}'`;
  await sql.unsafe(`${known ? "alter" : "create"} role ${role} ${rights}`);
  await sql.unsafe(`comment on role ${role} is '${mark}'`);
}

function relayRole(name: string): string {
  return `${name}_relay`;
}

/** Tells secrets apart, and nothing of them. */
function markOf(secret: string): string {
  return `bodega ${createHash("sha256").update(`mark of ${secret}`).digest("hex").slice(0, 16)}`;
}

function passwordOf(key: string, role: string): string {
  return createHmac("sha256", key).update(role).digest("hex");
}

function unless(...codes: string[]) {
  return (error: unknown) => {
    if (!codes.includes(errorCode(error) ?? "")) throw error;
  };
}
