import type { Sql } from "../../packages/database/database.ts";
import { LOCKS } from "../../packages/database/lock-numbers.ts";

// The statements of signing keys and of the root secret; all others are in store.ts.

export interface KeyRow {
  kid: string;
  public_jwk: string;
  sealed_private_jwk: Uint8Array;
  secret_fingerprint: Uint8Array;
  usable_from: Date;
  signs_from: Date | null;
}

export async function lockKeys(sql: Sql): Promise<void> {
  await sql`select pg_advisory_xact_lock(${LOCKS.signingKeys})`;
}

/** The last that began to sign. Where clocks differ and none has begun yet, the one that is about to. */
export async function readCurrentKey(sql: Sql, now: Date): Promise<KeyRow | undefined> {
  const [row] = await sql<KeyRow[]>`
    select kid, public_jwk, sealed_private_jwk, secret_fingerprint, usable_from, signs_from from signing_keys
    where signs_from is not null and (signs_until is null or signs_until > signs_from) and revoked_at is null
    order by signs_from <= ${now} desc, abs(extract(epoch from signs_from - ${now}::timestamptz)) limit 1`;
  return row;
}

/** Undefined when it was revoked. */
export async function readKey(sql: Sql, kid: string): Promise<KeyRow | undefined> {
  const [row] = await sql<KeyRow[]>`
    select kid, public_jwk, sealed_private_jwk, secret_fingerprint, usable_from, signs_from from signing_keys where kid = ${kid} and revoked_at is null`;
  return row;
}

/** Of all keys that sign, will sign, or have signed after `cutoff`, and were not revoked. */
export function readPublicKeys(sql: Sql, cutoff: Date): Promise<{ public_jwk: string }[]> {
  return sql<{ public_jwk: string }[]>`
    select public_jwk from signing_keys where (signs_until is null or signs_until > ${cutoff}) and revoked_at is null order by kid`;
}

export async function insertKeys(sql: Sql, keys: KeyRow[]): Promise<void> {
  for (const key of keys) {
    await sql`
      insert into signing_keys (kid, public_jwk, sealed_private_jwk, secret_fingerprint, usable_from, signs_from)
      values (${key.kid}, ${key.public_jwk}, ${key.sealed_private_jwk}, ${key.secret_fingerprint}, ${key.usable_from}, ${key.signs_from})`;
  }
}

/** The standby signs from now on, or from when it may. Its key id. */
export async function promoteStandby(sql: Sql, now: Date): Promise<string | undefined> {
  const [standby] = await sql<{ kid: string; from: Date }[]>`
    select kid, greatest(usable_from, ${now}::timestamptz) as from from signing_keys where signs_from is null`;
  if (!standby) return undefined;
  await sql`update signing_keys set signs_until = greatest(signs_from, ${standby.from}) where signs_from is not null and signs_until is null`;
  await sql`update signing_keys set signs_from = ${standby.from} where kid = ${standby.kid}`;
  return standby.kid;
}

/** Ends the current key and forgets the standby. */
export async function retireKeys(sql: Sql, now: Date): Promise<void> {
  await sql`update signing_keys set signs_until = greatest(signs_from, ${now}) where signs_from is not null and signs_until is null`;
  await sql`delete from signing_keys where signs_from is null`;
}

export async function deleteKeysOver(sql: Sql, cutoff: Date): Promise<void> {
  await sql`delete from signing_keys where signs_until <= ${cutoff}`;
}

export async function readRootSecret(sql: Sql): Promise<Uint8Array | undefined> {
  const [row] = await sql<{ secret: Uint8Array }[]>`select secret from root_secret`;
  return row?.secret;
}

/** Of processes that start together the first one's secret is everybody's. */
export async function makeRootSecret(sql: Sql, secret: Uint8Array): Promise<Uint8Array> {
  await sql`insert into root_secret (secret) values (${secret}) on conflict (one) do nothing`;
  const made = await readRootSecret(sql);
  if (!made) throw new Error("there is no root secret although one was just made");
  return made;
}

export interface ListedKeyRow {
  kid: string;
  signs_from: Date | null;
  signs_until: Date | null;
  revoked_at: Date | null;
  revoked_because: string | null;
}

export function listKeys(sql: Sql): Promise<ListedKeyRow[]> {
  return sql<ListedKeyRow[]>`
    select kid, signs_from, signs_until, revoked_at, revoked_because from signing_keys order by kid`;
}

/** Whoever revokes a key first gives the reason. */
export async function revokeKey(
  sql: Sql,
  kid: string,
  reason: string,
  now: Date,
): Promise<"revoked" | "before" | "unknown"> {
  const rows = await sql`
    update signing_keys set revoked_at = ${now}, revoked_because = ${reason},
      signs_from = coalesce(signs_from, ${now}), signs_until = greatest(signs_from, least(coalesce(signs_until, ${now}), ${now}::timestamptz))
    where kid = ${kid} and revoked_at is null returning kid`;
  if (rows.length === 1) return "revoked";
  return (await sql`select kid from signing_keys where kid = ${kid}`).length === 1 ? "before" : "unknown";
}

/** Where the key that signed was revoked, the next signs at once: there is no waiting until everybody knows it. */
export async function hurryNextKey(sql: Sql, now: Date): Promise<void> {
  await sql`
    update signing_keys set signs_from = ${now} where signs_until is null and signs_from > ${now} and not exists (
      select from signing_keys where signs_from <= ${now} and signs_until > ${now} and revoked_at is null)`;
  await sql`
    update signing_keys set signs_from = ${now} where signs_from is null and not exists (
      select from signing_keys where signs_from is not null and signs_until is null)`;
}

export async function hasStandby(sql: Sql): Promise<boolean> {
  return (await sql`select kid from signing_keys where signs_from is null`).length === 1;
}
