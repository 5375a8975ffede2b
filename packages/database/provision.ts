import { createHmac } from "node:crypto";
import { openDatabase } from "./database.ts";
import { databaseAt } from "./url.ts";

const NAME = /^[a-z][a-z0-9_]{0,62}$/;
/** Any number that no other advisory lock of the platform uses. */
const PROVISION_LOCK = 7_203;

/**
 * Makes a database and a role of the same name for each service, so that nobody can join across. May run any number of times, by any number of processes.
 * `adminUrl` must be allowed to create roles and databases. Passwords follow from `secret`, which its owner keeps. Returns the URL of each database.
 */
export async function provision(adminUrl: string, secret: string, names: string[]): Promise<Map<string, string>> {
  const admin = openDatabase(adminUrl, "provision");
  try {
    const session = admin.session();
    await session.sql`select pg_advisory_lock(${PROVISION_LOCK})`;
    for (const name of names) await ensure(session.sql, name, passwordOf(secret, name));
    await session.close();
  } finally {
    await admin.close();
  }
  return new Map(names.map((name) => [name, databaseOn(adminUrl, secret, name)]));
}

/** Where a database that `provision` made is; on a replica's URL, where its copy is. */
export function databaseOn(url: string, secret: string, name: string): string {
  return databaseAt(url, name, name, passwordOf(secret, name));
}

async function ensure(
  sql: ReturnType<ReturnType<typeof openDatabase>["session"]>["sql"],
  name: string,
  password: string,
) {
  if (!NAME.test(name)) throw new Error(`a database name is lower-case letters, digits and underscores, not ${name}`);
  // Identifiers and passwords cannot be parameters here; the name was checked and the password is hexadecimal.
  const [role] = await sql`select from pg_roles where rolname = ${name}`;
  await sql.unsafe(`${role ? "alter" : "create"} role ${name} login replication password '${password}'`);
  const [database] = await sql`select from pg_database where datname = ${name}`;
  if (!database) await sql.unsafe(`create database ${name} owner ${name}`);
  await sql.unsafe(`revoke connect on database ${name} from public`);
}

function passwordOf(secret: string, name: string): string {
  return createHmac("sha256", secret).update(name).digest("hex");
}
