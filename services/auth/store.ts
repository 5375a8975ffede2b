import type { Sql } from "../../packages/database/database.ts";
import type { Purpose } from "./code.ts";
import type { UserRow } from "./user.ts";

// Users

/** False when the address is taken. */
export async function insertUser(sql: Sql, user: UserRow & { password_hash: string }): Promise<boolean> {
  const rows = await sql`
    insert into users (user_id, email, display_name, password_hash, roles, created_at, verified_at)
    values (${user.user_id}, ${user.email}, ${user.display_name}, ${user.password_hash}, ${user.roles}, ${user.created_at}, ${user.verified_at})
    on conflict (email) do nothing returning user_id`;
  return rows.length === 1;
}

export async function findByEmail(sql: Sql, email: string): Promise<UserRow | undefined> {
  const [row] = await sql<UserRow[]>`
    select user_id, email, display_name, roles, created_at, verified_at from users where email = ${email}`;
  return row;
}

export async function findById(sql: Sql, userId: string): Promise<UserRow | undefined> {
  const [row] = await sql<UserRow[]>`
    select user_id, email, display_name, roles, created_at, verified_at from users where user_id = ${userId}`;
  return row;
}

export interface CredentialsRow {
  user_id: string;
  password_hash: string;
  roles: string[];
  verified_at: Date | null;
  logins_from_here: number;
}

export async function findCredentials(
  sql: Sql,
  email: string,
  networkHash: Uint8Array,
): Promise<CredentialsRow | undefined> {
  const [row] = await sql<CredentialsRow[]>`
    select u.user_id, u.password_hash, u.roles, u.verified_at, coalesce(k.logins, 0) as logins_from_here
    from users u left join known_networks k on k.user_id = u.user_id and k.network_hash = ${networkHash}
    where u.email = ${email}`;
  return row;
}

export async function stillHas(sql: Sql, userId: string, passwordHash: string): Promise<boolean> {
  const rows =
    await sql`select user_id from users where user_id = ${userId} and password_hash = ${passwordHash} for share`;
  return rows.length === 1;
}

/** Undefined when the user was verified before. */
export async function setVerified(sql: Sql, userId: string, now: Date): Promise<UserRow | undefined> {
  const [row] = await sql<UserRow[]>`
    update users set verified_at = ${now} where user_id = ${userId} and verified_at is null
    returning user_id, email, display_name, roles, created_at, verified_at`;
  return row;
}

export async function setPassword(sql: Sql, userId: string, passwordHash: string): Promise<void> {
  await sql`update users set password_hash = ${passwordHash} where user_id = ${userId}`;
}

export function listUsers(sql: Sql, after: string | null, rowsMax: number): Promise<UserRow[]> {
  return sql<UserRow[]>`
    select user_id, email, display_name, roles, created_at, verified_at from users
    where ${after}::uuid is null or user_id > ${after}::uuid order by user_id limit ${rowsMax}`;
}

/** Changes of who is admin take turns. */
export async function lockAdmins(sql: Sql): Promise<string[]> {
  const rows = await sql<{ user_id: string }[]>`
    select user_id from users where 'ROLE_ADMIN' = any(roles) order by user_id for update`;
  return rows.map((row) => row.user_id);
}

export async function setRoles(sql: Sql, userId: string, roles: string[]): Promise<UserRow | undefined> {
  const [row] = await sql<UserRow[]>`
    update users set roles = ${roles} where user_id = ${userId}
    returning user_id, email, display_name, roles, created_at, verified_at`;
  return row;
}

/** Networks not used for this long are strange again. */
const NETWORK_KEPT_MS = 180 * 86_400_000;

export async function rememberNetwork(sql: Sql, userId: string, networkHash: Uint8Array, now: Date): Promise<void> {
  await sql`
    insert into known_networks (user_id, network_hash, logins, seen_at) values (${userId}, ${networkHash}, 1, ${now})
    on conflict (user_id, network_hash) do update set logins = known_networks.logins + 1, seen_at = excluded.seen_at`;
  await sql`delete from known_networks where user_id = ${userId} and seen_at < ${new Date(now.getTime() - NETWORK_KEPT_MS)}`;
}

export async function forgetNetworks(sql: Sql, userId: string): Promise<void> {
  await sql`delete from known_networks where user_id = ${userId}`;
}

// Codes

const ROWS_REMOVED_MAX = 20;

export interface CodeRow {
  purpose: Purpose;
  address_hash: Uint8Array;
  salt: Uint8Array;
  code_hash: Uint8Array;
  user_id: string | null;
  sent_at: Date;
  expires_at: Date;
}

/**
 * True when the code was taken as the newest: the last one is from `cooldownFrom` or before, or this one comes `always`.
 * The latter leaves a running cooldown as it is: else its length would tell that a registration was new.
 */
export async function saveCode(sql: Sql, row: CodeRow, cooldownFrom: Date, always: boolean): Promise<boolean> {
  const rows = await sql`
    insert into codes (purpose, address_hash, salt, code_hash, user_id, guesses, sent_at, expires_at)
    values (${row.purpose}, ${row.address_hash}, ${row.salt}, ${row.code_hash}, ${row.user_id}, 0, ${row.sent_at}, ${row.expires_at})
    on conflict (purpose, address_hash) do update set
      salt = excluded.salt, code_hash = excluded.code_hash, user_id = excluded.user_id, guesses = 0, expires_at = excluded.expires_at,
      sent_at = case when codes.sent_at <= ${cooldownFrom} then excluded.sent_at else codes.sent_at end
    where codes.sent_at <= ${cooldownFrom} or ${always}
    returning purpose`;
  return rows.length === 1;
}

export async function readSentAt(sql: Sql, purpose: Purpose, addressHash: Uint8Array): Promise<Date> {
  const [row] = await sql<{ sent_at: Date }[]>`
    select sent_at from codes where purpose = ${purpose} and address_hash = ${addressHash}`;
  if (!row) throw new Error(`the ${purpose} code in whose cooldown this request came is gone`);
  return row.sent_at;
}

export interface GuessedRow {
  salt: Uint8Array;
  code_hash: Uint8Array;
  user_id: string | null;
  /** This one included. */
  guesses: number;
  expires_at: Date;
}

/** Counts a guess and holds the row until the transaction ends. An address without a code gets one that is over, so that a guess there costs the same. */
export async function countGuess(
  sql: Sql,
  blank: Pick<CodeRow, "purpose" | "address_hash" | "salt" | "code_hash">,
  now: Date,
): Promise<GuessedRow> {
  const [row] = await sql<GuessedRow[]>`
    insert into codes (purpose, address_hash, salt, code_hash, guesses, sent_at, expires_at)
    values (${blank.purpose}, ${blank.address_hash}, ${blank.salt}, ${blank.code_hash}, 1, ${new Date(0)}, ${now})
    on conflict (purpose, address_hash) do update set guesses = least(codes.guesses + 1, 6)
    returning salt, code_hash, user_id, guesses, expires_at`;
  if (!row) throw new Error(`a guess of a ${blank.purpose} code was not counted`);
  return row;
}

export async function spendCode(sql: Sql, purpose: Purpose, addressHash: Uint8Array): Promise<void> {
  await sql`update codes set guesses = 6 where purpose = ${purpose} and address_hash = ${addressHash}`;
}

/** A few at a time, with every write: the table stays as small as an hour's requests. */
export async function deleteCodesOver(sql: Sql, before: Date): Promise<void> {
  await sql`
    delete from codes where ctid = any(array(
      select ctid from codes where expires_at < ${before} limit ${ROWS_REMOVED_MAX} for update skip locked))`;
}

// Sessions

export interface SessionRow {
  session_id: string;
  user_id: string;
  roles: string[];
  expires_at: Date;
  ended_at: Date | null;
}

/** The session a token belongs to, held until the transaction ends: refreshes of one session take turns. */
export async function lockSession(sql: Sql, tokenHash: Uint8Array): Promise<SessionRow | undefined> {
  const [row] = await sql<SessionRow[]>`
    select s.session_id, s.user_id, s.expires_at, s.ended_at, u.roles from sessions s join users u on u.user_id = s.user_id
    where s.session_id = (select session_id from refresh_tokens where token_hash = ${tokenHash}) for update of s`;
  return row;
}

export interface TokenRow {
  token_hash: Uint8Array;
  session_id: string;
  kid: string;
  access_token_id: string;
  issued_at: Date;
  rotated_at: Date | null;
}

export async function readToken(sql: Sql, tokenHash: Uint8Array): Promise<TokenRow | undefined> {
  const [row] = await sql<TokenRow[]>`
    select token_hash, session_id, kid, access_token_id, issued_at, rotated_at from refresh_tokens where token_hash = ${tokenHash}`;
  return row;
}

export async function rotateToken(sql: Sql, tokenHash: Uint8Array, next: Omit<TokenRow, "rotated_at">): Promise<void> {
  await sql`
    with former as (update refresh_tokens set rotated_at = ${next.issued_at} where token_hash = ${tokenHash})
    insert into refresh_tokens (token_hash, session_id, kid, access_token_id, issued_at)
    values (${next.token_hash}, ${next.session_id}, ${next.kid}, ${next.access_token_id}, ${next.issued_at})`;
}

export async function endSession(sql: Sql, sessionId: string, endedBy: "LOGOUT" | "REUSE", now: Date): Promise<void> {
  await sql`update sessions set ended_at = ${now}, ended_by = ${endedBy} where session_id = ${sessionId}`;
}

export async function endSessionsOf(
  sql: Sql,
  userId: string,
  endedBy: "LOGOUT_ALL" | "PASSWORD_RESET",
  now: Date,
): Promise<void> {
  await sql`update sessions set ended_at = ${now}, ended_by = ${endedBy} where user_id = ${userId} and ended_at is null`;
}

const SESSIONS_REMOVED_MAX = 2;

/** Two for each that begins: faster than they come. Ended ones stay until they would have expired, to know their tokens again. */
export async function deleteSessionsOver(sql: Sql, now: Date): Promise<void> {
  await sql`
    delete from sessions where ctid = any(array(
      select ctid from sessions where expires_at <= ${now} limit ${SESSIONS_REMOVED_MAX} for update skip locked))`;
}
