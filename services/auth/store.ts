import type { Sql } from "../../packages/database/database.ts";
import type { UserRow } from "./user.ts";

// Users

/**
 * The user of an address, made or, where a former release kept one that was never verified, taken over. Undefined when the address is a verified user's.
 */
export async function saveVerified(sql: Sql, user: UserRow & { password_hash: string }): Promise<UserRow | undefined> {
  const [row] = await sql<UserRow[]>`
    insert into users (user_id, email, display_name, password_hash, roles, created_at, verified_at)
    values (${user.user_id}, ${user.email}, ${user.display_name}, ${user.password_hash}, ${user.roles}, ${user.created_at}, ${user.verified_at})
    on conflict (email) do update set display_name = excluded.display_name, password_hash = excluded.password_hash, verified_at = excluded.verified_at
    where users.verified_at is null
    returning user_id, email, display_name, roles, created_at, verified_at, blocked_at, totp_since`;
  return row;
}

export async function findVerified(sql: Sql, email: string): Promise<UserRow | undefined> {
  const [row] = await sql<UserRow[]>`
    select user_id, email, display_name, roles, created_at, verified_at, blocked_at, totp_since from users where email = ${email} and verified_at is not null`;
  return row;
}

export async function findByEmail(sql: Sql, email: string): Promise<UserRow | undefined> {
  const [row] = await sql<UserRow[]>`
    select user_id, email, display_name, roles, created_at, verified_at, blocked_at, totp_since from users where email = ${email}`;
  return row;
}

export async function findById(sql: Sql, userId: string): Promise<UserRow | undefined> {
  const [row] = await sql<UserRow[]>`
    select user_id, email, display_name, roles, created_at, verified_at, blocked_at, totp_since from users where user_id = ${userId}`;
  return row;
}

export interface CredentialsRow extends UserRow {
  password_hash: string;
  /** How often the account was used from the network in question. */
  logins_from_here: number;
  /** Whether it was used from any. */
  known_elsewhere: boolean;
}

export async function findCredentials(
  sql: Sql,
  email: string,
  networkHash: Uint8Array,
): Promise<CredentialsRow | undefined> {
  const [row] = await sql<CredentialsRow[]>`
    select u.*, coalesce(k.logins, 0) as logins_from_here,
      exists (select from known_networks where user_id = u.user_id) as known_elsewhere
    from users u left join known_networks k on k.user_id = u.user_id and k.network_hash = ${networkHash}
    where u.email = ${email}`;
  return row;
}

/** Whether what lets in is still what it was when it was read. Held until the transaction ends. */
export async function stillLetsIn(
  sql: Sql,
  { user_id, password_hash, totp_since }: Pick<CredentialsRow, "user_id" | "password_hash" | "totp_since">,
): Promise<boolean> {
  const rows = await sql`
    select user_id from users where user_id = ${user_id} and password_hash = ${password_hash} and blocked_at is null
      and (totp_since is null) = ${totp_since === null} for share`;
  return rows.length === 1;
}

/** Undefined when the user was verified before. */
export async function setVerified(sql: Sql, userId: string, now: Date): Promise<UserRow | undefined> {
  const [row] = await sql<UserRow[]>`
    update users set verified_at = ${now} where user_id = ${userId} and verified_at is null
    returning user_id, email, display_name, roles, created_at, verified_at, blocked_at, totp_since`;
  return row;
}

/** False when there is no such user. */
export async function setPassword(sql: Sql, userId: string, passwordHash: string): Promise<boolean> {
  const rows = await sql`update users set password_hash = ${passwordHash} where user_id = ${userId} returning user_id`;
  return rows.length === 1;
}

export function listUsers(sql: Sql, after: string | null, rowsMax: number): Promise<UserRow[]> {
  return sql<UserRow[]>`
    select user_id, email, display_name, roles, created_at, verified_at, blocked_at, totp_since from users
    where ${after}::uuid is null or user_id > ${after}::uuid order by user_id limit ${rowsMax}`;
}

/**
 * The user as it was before. Undefined when somebody else got the address or the account is gone; or when it is not as it was when its owner asked: with another
 * password, a second factor or an admin's block, whoever was in by the old password alone is out, and so is what they began.
 */
export async function setEmail(
  sql: Sql,
  asked: { user_id: string; password_hash: string | null; created_at: Date },
  email: string,
): Promise<UserRow | undefined> {
  const [before] = await sql<UserRow[]>`
    with before as (select * from users where user_id = ${asked.user_id} and password_hash = ${asked.password_hash} and blocked_at is null
        and (totp_since is null or totp_since <= ${asked.created_at}) for update),
      changed as (update users set email = ${email} from before b where users.user_id = b.user_id
        and not exists (select from users where email = ${email}) returning users.user_id)
    select b.user_id, b.email, b.display_name, b.roles, b.created_at, b.verified_at, b.blocked_at, b.totp_since from before b join changed using (user_id)`;
  return before;
}

/** With it go its sessions and the networks it was used from. */
export async function deleteUser(sql: Sql, userId: string): Promise<void> {
  await sql`delete from users where user_id = ${userId}`;
}

/** Undefined when there is nobody to block. */
export async function setBlocked(sql: Sql, userId: string, now: Date, reason: string): Promise<UserRow | undefined> {
  const [row] = await sql<UserRow[]>`
    update users set blocked_at = ${now}, blocked_because = ${reason} where user_id = ${userId} and blocked_at is null
    returning user_id, email, display_name, roles, created_at, verified_at, blocked_at, totp_since`;
  return row;
}

export async function setUnblocked(sql: Sql, userId: string): Promise<UserRow | undefined> {
  const [row] = await sql<UserRow[]>`
    update users set blocked_at = null, blocked_because = null where user_id = ${userId} and blocked_at is not null
    returning user_id, email, display_name, roles, created_at, verified_at, blocked_at, totp_since`;
  return row;
}

/** Those who can act. Changes of who is admin take turns. */
export async function lockAdmins(sql: Sql): Promise<string[]> {
  const rows = await sql<{ user_id: string }[]>`
    select user_id from users where 'ROLE_ADMIN' = any(roles) and blocked_at is null order by user_id for update`;
  return rows.map((row) => row.user_id);
}

export async function setRoles(sql: Sql, userId: string, roles: string[]): Promise<UserRow | undefined> {
  const [row] = await sql<UserRow[]>`
    update users set roles = ${roles} where user_id = ${userId}
    returning user_id, email, display_name, roles, created_at, verified_at, blocked_at, totp_since`;
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

// Sessions

export interface SessionRow {
  session_id: string;
  user_id: string;
  roles: string[];
  totp_since: Date | null;
  /** That opened it, while it is there. */
  passkey_id: string | null;
  expires_at: Date;
  ended_at: Date | null;
}

/** The session a token belongs to, held until the transaction ends: refreshes of one session take turns. */
export async function lockSession(sql: Sql, tokenHash: Uint8Array): Promise<SessionRow | undefined> {
  const [row] = await sql<SessionRow[]>`
    select s.session_id, s.user_id, s.passkey_id, s.expires_at, s.ended_at, u.roles, u.totp_since from sessions s join users u on u.user_id = s.user_id
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
  endedBy: "LOGOUT_ALL" | "PASSWORD_RESET" | "BLOCKED",
  now: Date,
): Promise<void> {
  await sql`update sessions set ended_at = ${now}, ended_by = ${endedBy} where user_id = ${userId} and ended_at is null`;
}

/** All but the one that the access token is of. */
export async function endOtherSessions(
  sql: Sql,
  userId: string,
  accessTokenId: string,
  endedBy: "PASSWORD_CHANGED" | "TOTP_ENABLED",
  now: Date,
): Promise<void> {
  const own = await sessionOf(sql, userId, accessTokenId);
  await sql`
    update sessions set ended_at = ${now}, ended_by = ${endedBy}
    where user_id = ${userId} and ended_at is null and session_id is distinct from ${own ?? null}::uuid`;
}

/** The session that an access token is of. */
export async function sessionOf(sql: Sql, userId: string, accessTokenId: string): Promise<string | undefined> {
  const [row] = await sql<{ session_id: string }[]>`
    select session_id from sessions join refresh_tokens using (session_id)
    where user_id = ${userId} and access_token_id = ${accessTokenId} limit 1`;
  return row?.session_id;
}

export interface OpenSessionRow {
  session_id: string;
  created_at: Date;
  expires_at: Date;
  last_used_at: Date;
  network: string;
}

/** Newest first: ids are in the order of their making. */
export function openSessions(
  sql: Sql,
  userId: string,
  before: string | null,
  rowsMax: number,
  now: Date,
): Promise<OpenSessionRow[]> {
  return sql<OpenSessionRow[]>`
    select s.session_id, s.created_at, s.expires_at, s.network,
      (select max(issued_at) from refresh_tokens t where t.session_id = s.session_id) as last_used_at
    from sessions s where s.user_id = ${userId} and s.ended_at is null and s.expires_at > ${now}
      and (${before}::uuid is null or s.session_id < ${before}::uuid)
    order by s.session_id desc limit ${rowsMax}`;
}

/** False when it is none of the user's. */
export async function endOwnSession(sql: Sql, userId: string, sessionId: string, now: Date): Promise<boolean> {
  const rows = await sql`
    update sessions set ended_at = coalesce(ended_at, ${now}), ended_by = coalesce(ended_by, 'ENDED')
    where session_id = ${sessionId} and user_id = ${userId} returning session_id`;
  return rows.length === 1;
}

const SESSIONS_REMOVED_MAX = 2;

/** Two for each that begins: faster than they come. Ended ones stay until they would have expired, to know their tokens again. */
export async function deleteSessionsOver(sql: Sql, now: Date): Promise<void> {
  await sql`
    delete from sessions where ctid = any(array(
      select ctid from sessions where expires_at <= ${now} limit ${SESSIONS_REMOVED_MAX} for update skip locked))`;
}
