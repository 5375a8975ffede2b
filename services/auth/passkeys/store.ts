import type { Sql } from "../../../packages/database/database.ts";
import { sessionOf } from "../store.ts";

const ROWS_REMOVED_MAX = 20;

export interface PasskeyRow {
  passkey_id: string;
  user_id: string;
  credential_id: Uint8Array;
  public_key: Uint8Array;
  sign_count: bigint;
  name: string;
  synced: boolean;
  created_at: Date;
  last_used_at: Date | null;
}

/** Oldest first: ids are in the order of their making. */
export function passkeysOf(sql: Sql, userId: string): Promise<PasskeyRow[]> {
  return sql<PasskeyRow[]>`select * from passkeys where user_id = ${userId} order by passkey_id`;
}

export async function findPasskey(sql: Sql, credentialId: Uint8Array): Promise<PasskeyRow | undefined> {
  const [row] = await sql<PasskeyRow[]>`select * from passkeys where credential_id = ${credentialId}`;
  return row;
}

/** False when some account has it already. */
export async function insertPasskey(sql: Sql, row: PasskeyRow): Promise<boolean> {
  const rows = await sql`
    insert into passkeys (passkey_id, user_id, credential_id, public_key, sign_count, name, synced, created_at)
    values (${row.passkey_id}, ${row.user_id}, ${row.credential_id}, ${row.public_key}, ${row.sign_count}, ${row.name}, ${row.synced}, ${row.created_at})
    on conflict (credential_id) do nothing returning passkey_id`;
  return rows.length === 1;
}

/** Held until the transaction ends: registrations of one user take turns. */
export async function lockOwner(sql: Sql, userId: string): Promise<void> {
  await sql`select from users where user_id = ${userId} for update`;
}

/** Held until the transaction ends: logins with one passkey take turns. */
export async function lockPasskey(sql: Sql, passkeyId: string): Promise<PasskeyRow | undefined> {
  const [row] = await sql<PasskeyRow[]>`select * from passkeys where passkey_id = ${passkeyId} for update`;
  return row;
}

/** False when it counted backwards, or stood still. One that does not count says 0 always. */
export async function usePasskey(
  sql: Sql,
  { passkey_id, sign_count, synced }: Pick<PasskeyRow, "passkey_id" | "sign_count" | "synced">,
  now: Date,
): Promise<boolean> {
  const rows = await sql`
    update passkeys set sign_count = ${sign_count}, synced = ${synced}, last_used_at = ${now}
    where passkey_id = ${passkey_id} and (sign_count < ${sign_count}::bigint or (sign_count = 0 and ${sign_count}::bigint = 0)) returning passkey_id`;
  return rows.length === 1;
}

/** With it end the sessions that it opened, but for the one that the access token is of. False when it is none of the user's. */
export async function removePasskey(
  sql: Sql,
  { passkeyId, userId, accessTokenId }: { passkeyId: string; userId: string; accessTokenId: string },
  now: Date,
): Promise<boolean> {
  const own = await sessionOf(sql, userId, accessTokenId);
  await sql`
    update sessions set ended_at = ${now}, ended_by = 'PASSKEY_REMOVED'
    where passkey_id = ${passkeyId} and user_id = ${userId} and ended_at is null and session_id is distinct from ${own ?? null}::uuid`;
  const rows = await sql`
    delete from passkeys where passkey_id = ${passkeyId} and user_id = ${userId} returning passkey_id`;
  return rows.length === 1;
}

/** Whether the session that an access token is of was opened by a passkey that is there still. */
export async function openedByPasskey(sql: Sql, userId: string, accessTokenId: string): Promise<boolean> {
  const [row] = await sql<{ passkey_id: string | null }[]>`
    select passkey_id from sessions where session_id = ${(await sessionOf(sql, userId, accessTokenId)) ?? null}::uuid`;
  return typeof row?.passkey_id === "string";
}

export type ChallengeRow = { challenge_hash: Uint8Array; expires_at: Date } & (
  | { purpose: "LOGIN"; user_id: null; password_hash: null; totp_since: null }
  | { purpose: "REGISTER"; user_id: string; password_hash: string; totp_since: Date | null }
);

/** Good once, whatever comes of it. Undefined when it is none of this purpose and user, or is over. */
export async function spendChallenge(
  sql: Sql,
  { challenge_hash, purpose, user_id }: Pick<ChallengeRow, "challenge_hash" | "purpose" | "user_id">,
  now: Date,
): Promise<ChallengeRow | undefined> {
  const [row] = await sql<ChallengeRow[]>`
    delete from passkey_challenges where challenge_hash = ${challenge_hash} and purpose = ${purpose}
      and user_id is not distinct from ${user_id}::uuid and expires_at > ${now} returning *`;
  return row;
}

/** A few of those that are over, with each that begins. */
export async function deleteChallengesOver(sql: Sql, now: Date): Promise<void> {
  await sql`
    delete from passkey_challenges where ctid = any(array(
      select ctid from passkey_challenges where expires_at <= ${now} limit ${ROWS_REMOVED_MAX} for update skip locked))`;
}
