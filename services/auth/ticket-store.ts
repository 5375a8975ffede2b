import type { Sql } from "../../packages/database/database.ts";
import { LOCKS } from "../../packages/database/lock-numbers.ts";

// The statements of tickets and of the mails that carry their codes, and of second factors and of the logins that wait for them.

const ROWS_REMOVED_MAX = 20;

/** Requests and guesses about one address take turns. */
export async function lockAddress(sql: Sql, addressHash: Buffer): Promise<void> {
  await sql`select pg_advisory_xact_lock(${LOCKS.mailAddress}::int, ${addressHash.readInt32BE(0)}::int)`;
}

/** What a ticket is for. */
export type Purpose = "REGISTER" | "RESET_PASSWORD" | "CHANGE_EMAIL";

export interface CodeMailRow {
  purpose: Purpose;
  network_hash: Uint8Array;
  sent_at: Date;
  next_at: Date;
}

export function readCodeMails(sql: Sql, addressHash: Uint8Array, after: Date): Promise<CodeMailRow[]> {
  return sql<CodeMailRow[]>`
    select purpose, network_hash, sent_at, next_at from code_mails where address_hash = ${addressHash} and sent_at > ${after} order by sent_at`;
}

export interface Code {
  salt: Uint8Array;
  code_hash: Uint8Array;
  code_until: Date;
}

export interface TicketRow extends Code {
  ticket_hash: Uint8Array;
  network_hash: Uint8Array;
  user_id: string | null;
  password_hash: string | null;
  display_name: string | null;
  guesses: number;
  near_guesses: number;
  far_guesses: number;
  created_at: Date;
  redeemed_at: Date | null;
  password_needed: boolean;
}

export interface Where {
  purpose: Purpose;
  address_hash: Uint8Array;
}

/** The newest code asked for from a network that is still good, and how many tickets have it. */
export async function newestCode(
  sql: Sql,
  { purpose, address_hash }: Where,
  networkHash: Uint8Array,
  now: Date,
): Promise<(Code & { tickets: number }) | undefined> {
  const [row] = await sql<(Code & { tickets: number })[]>`
    select salt, code_hash, code_until, count(*) over (partition by code_hash)::int as tickets from tickets
    where address_hash = ${address_hash} and purpose = ${purpose} and network_hash = ${networkHash} and code_until > ${now} and redeemed_at is null
    order by code_until desc limit 1`;
  return row;
}

/** The ticket itself; without one the newest of the address, from `networkHash` if there is one. */
export async function findTicket(
  sql: Sql,
  { purpose, address_hash }: Where,
  ticketHash: Uint8Array | null,
  networkHash: Uint8Array,
  now: Date,
): Promise<TicketRow | undefined> {
  const [row] = await sql<TicketRow[]>`
    select * from tickets where address_hash = ${address_hash} and purpose = ${purpose} and expires_at > ${now} and redeemed_at is null
      and (${ticketHash}::bytea is null or ticket_hash = ${ticketHash})
    order by network_hash = ${networkHash} desc, created_at desc limit 1`;
  return row;
}

export async function renewCode(sql: Sql, ticketHash: Uint8Array, code: Code): Promise<void> {
  await sql`
    update tickets set salt = ${code.salt}, code_hash = ${code.code_hash}, code_until = ${code.code_until},
      guesses = 0, near_guesses = 0, far_guesses = 0 where ticket_hash = ${ticketHash}`;
}

/** Counts a guess with a ticket. */
export function countGuess(sql: Sql, { purpose, address_hash }: Where, ticketHash: Uint8Array): Promise<TicketRow[]> {
  return sql<TicketRow[]>`
    update tickets set guesses = least(guesses + 1, 6)
    where ticket_hash = ${ticketHash} and address_hash = ${address_hash} and purpose = ${purpose} returning *`;
}

/** Counts a guess without one, of every code of the address that is still good. */
export function countOpenGuess(
  sql: Sql,
  { purpose, address_hash }: Where,
  networkHash: Uint8Array,
  now: Date,
): Promise<TicketRow[]> {
  return sql<TicketRow[]>`
    update tickets set
      near_guesses = case when network_hash = ${networkHash} then least(near_guesses + 1, 6) else near_guesses end,
      far_guesses = case when network_hash = ${networkHash} then far_guesses else least(far_guesses + 1, 6) end
    where address_hash = ${address_hash} and purpose = ${purpose} and code_until > ${now} returning *`;
}

/** The passwords that were chosen for an address from one network and that could still become valid. */
export async function passwordsChosen(
  sql: Sql,
  addressHash: Uint8Array,
  networkHash: Uint8Array,
  now: Date,
): Promise<string[]> {
  const rows = await sql<{ password_hash: string }[]>`
    select distinct password_hash from tickets where address_hash = ${addressHash} and purpose = 'REGISTER'
      and network_hash = ${networkHash} and user_id is not null and expires_at > ${now}`;
  return rows.map((row) => row.password_hash);
}

export async function redeem(
  sql: Sql,
  { ticket_hash, password_hash, password_needed }: Pick<TicketRow, "ticket_hash" | "password_hash" | "password_needed">,
  now: Date,
): Promise<void> {
  await sql`
    update tickets set redeemed_at = ${now}, password_hash = ${password_hash}, password_needed = ${password_needed} where ticket_hash = ${ticket_hash}`;
}

/** Once the address is its owner's, its tickets open nothing, but for `redeemed`. Those with the owner's password are the owner's and go. */
export async function closeTickets(
  sql: Sql,
  { purpose, address_hash }: Where,
  redeemed: Uint8Array,
  password: string | null,
): Promise<void> {
  await sql`
    with twins as (delete from tickets where address_hash = ${address_hash} and purpose = ${purpose}
      and ticket_hash <> ${redeemed} and password_hash = ${password})
    update tickets set user_id = null where address_hash = ${address_hash} and purpose = ${purpose}
      and ticket_hash <> ${redeemed} and (password_hash = ${password}) is not true`;
}

/** Codes that are out for an address that an account has left. */
export async function closeAddress(sql: Sql, addressHash: Uint8Array): Promise<void> {
  await sql`delete from tickets where address_hash = ${addressHash}`;
}

/** Codes that are out for an address that is no longer its owner's, and for whoever that was. */
export async function forgetAddress(sql: Sql, addressHash: Uint8Array, userId: string): Promise<void> {
  await sql`delete from tickets where address_hash = ${addressHash} or user_id = ${userId}`;
}

/** A few of what is over, with every write: the tables stay as small as a day's requests. */
export async function deleteOver(sql: Sql, now: Date, dayAgo: Date): Promise<void> {
  await sql`
    with over as (delete from tickets where ctid = any(array(
        select ctid from tickets where expires_at <= ${now} limit ${ROWS_REMOVED_MAX} for update skip locked))),
      counted as (delete from code_mails where ctid = any(array(
        select ctid from code_mails where sent_at <= ${dayAgo} limit ${ROWS_REMOVED_MAX} for update skip locked)))
    delete from users where ctid = any(array(
      select ctid from users where verified_at is null and created_at <= ${dayAgo} limit ${ROWS_REMOVED_MAX} for update skip locked))`;
}

export interface TotpRow {
  sealed_secret: Uint8Array;
  secret_fingerprint: Uint8Array;
  made_at: Date;
}

/** Held until the transaction ends: codes of one user take turns. */
export async function lockTotp(sql: Sql, userId: string): Promise<TotpRow | undefined> {
  const [row] = await sql<TotpRow[]>`
    select sealed_secret, secret_fingerprint, made_at from totp_secrets where user_id = ${userId} for update`;
  return row;
}

/** In place of one that no app has shown yet. */
export async function saveTotp(sql: Sql, userId: string, totp: TotpRow): Promise<void> {
  await sql`
    insert into totp_secrets (user_id, sealed_secret, secret_fingerprint, made_at)
    values (${userId}, ${totp.sealed_secret}, ${totp.secret_fingerprint}, ${totp.made_at})
    on conflict (user_id) do update set sealed_secret = excluded.sealed_secret, secret_fingerprint = excluded.secret_fingerprint,
      made_at = excluded.made_at, used_step = 0`;
}

/** False when a code of this step or of a later one was taken before. */
export async function useStep(sql: Sql, userId: string, step: number): Promise<boolean> {
  const rows = await sql`
    update totp_secrets set used_step = ${step} where user_id = ${userId} and used_step < ${step} returning user_id`;
  return rows.length === 1;
}

/** False when Login asks for a second factor already. */
export async function enableTotp(sql: Sql, userId: string, now: Date): Promise<boolean> {
  const rows = await sql`
    update users set totp_since = ${now} where user_id = ${userId} and totp_since is null returning user_id`;
  return rows.length === 1;
}

/** With it go the recovery codes. */
export async function removeTotp(sql: Sql, userId: string): Promise<void> {
  await sql`update users set totp_since = null where user_id = ${userId}`;
  await sql`delete from totp_secrets where user_id = ${userId}`;
}

/** In place of those before. */
export async function saveRecoveryCodes(sql: Sql, user_id: string, hashes: Uint8Array[]): Promise<void> {
  await sql`delete from recovery_codes where user_id = ${user_id}`;
  await sql`insert into recovery_codes ${sql(hashes.map((code_hash) => ({ user_id, code_hash })))}`;
}

/** False when the user has no such code. */
export async function spendRecoveryCode(sql: Sql, userId: string, codeHash: Uint8Array): Promise<boolean> {
  const rows = await sql`
    delete from recovery_codes where user_id = ${userId} and code_hash = ${codeHash} returning user_id`;
  return rows.length === 1;
}

/** Whose login waits, while it does. */
export async function challengedUser(sql: Sql, challengeHash: Uint8Array, now: Date): Promise<string | undefined> {
  const [row] = await sql<{ user_id: string }[]>`
    select user_id from login_challenges where challenge_hash = ${challengeHash} and expires_at > ${now}`;
  return row?.user_id;
}

/** Counts a guess. Undefined when there is none left, or the login does not wait any more. */
export async function countChallenge(
  sql: Sql,
  challengeHash: Uint8Array,
  guessesMax: number,
  now: Date,
): Promise<{ password_hash: string; guesses: number } | undefined> {
  const [row] = await sql<{ password_hash: string; guesses: number }[]>`
    update login_challenges set guesses = guesses + 1
    where challenge_hash = ${challengeHash} and expires_at > ${now} and guesses < ${guessesMax} returning password_hash, guesses`;
  return row;
}

export async function closeChallenge(sql: Sql, challengeHash: Uint8Array): Promise<void> {
  await sql`delete from login_challenges where challenge_hash = ${challengeHash}`;
}

/** A few of those that are over, with each that begins. */
export async function deleteChallengesOver(sql: Sql, now: Date): Promise<void> {
  await sql`
    delete from login_challenges where ctid = any(array(
      select ctid from login_challenges where expires_at <= ${now} limit ${ROWS_REMOVED_MAX} for update skip locked))`;
}
