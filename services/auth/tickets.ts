import { createHmac, timingSafeEqual } from "node:crypto";
import { Code as Status } from "@connectrpc/connect";
import { BadRequestSchema } from "../../packages/api/gen/google/rpc/error_details_pb.ts";
import type { Sql } from "../../packages/database/database.ts";
import { table } from "../../packages/database/table.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { refused } from "../../packages/service/errors.ts";
import type { AuthConfig } from "./config.ts";
import { secretFor } from "./keys.ts";
import { hashToken, newToken } from "./session.ts";
import * as store from "./ticket-store.ts";
import { digestOf } from "./user.ts";

/*
 * A ticket stands for one request that a mailed code answers. The code shows who reads the mailbox, the ticket shows who asked: together they say that
 * both are one. Guesses are counted per ticket, so a stranger's cost nobody else's code.
 */

const CODE_DIGITS = 6;
const CODE_LIFE_MS = 10 * 60_000;
const COOLDOWN_MS = 60_000;
const GUESSES_MAX = 5;
const DAY_MS = 24 * 60 * 60_000;
/** Mails with codes to one address in a day: asked for from one network, and from all that the account was never used from. */
const MAILS_FROM_NETWORK_MAX = 6;
const MAILS_MAX = 12;
/** Tickets that may share one code within the cooldown. More would be more guesses at it. */
const SHARED_MAX = 3;

export interface Place {
  purpose: store.Purpose;
  /** Normalised. */
  email: string;
  /** Of the caller. */
  network: string;
}

export interface Ask extends Place {
  /** Null: nobody has the right to a code, and the ticket opens nothing. */
  userId: string | null;
  /** The account was used from this network before: what strangers used up of the day's mails is not counted. */
  known?: boolean;
  chosen?: { passwordHash: string; displayName: string };
  /** Of the account at this moment. */
  passwordHash?: string;
}

/** A code to be mailed, or in whose place nothing is. */
export interface MailedCode {
  code: string;
  codeId: string;
  expiresAt: Date;
}

const TICKETS = table("tickets", {
  ticket_hash: "bytea",
  purpose: "text",
  address_hash: "bytea",
  network_hash: "bytea",
  user_id: "uuid",
  password_hash: "text",
  display_name: "text",
  salt: "bytea",
  code_hash: "bytea",
  code_until: "timestamptz",
  guesses: "smallint",
  near_guesses: "smallint",
  far_guesses: "smallint",
  created_at: "timestamptz",
  expires_at: "timestamptz",
  password_needed: "boolean",
});

/**
 * A ticket, and the code to be mailed for it. Within a minute of the last mail there is none: the ticket shares the code that is on its way. When the day's
 * mails are used up there is none either; `spentMs` tells until when.
 */
export async function issueTicket(
  app: App<AuthConfig>,
  tx: Tx,
  { purpose, email, network, userId, known = false, chosen, passwordHash }: Ask,
): Promise<{ ticket: string; mailed: MailedCode | null; spentMs: number }> {
  const now = app.clock.now();
  const where = { purpose, address_hash: digestOf(email) };
  const network_hash = digestOf(network);
  await store.lockAddress(tx.sql, where.address_hash);
  const budget = await budgetOf(app, tx, where, network_hash, known);
  const running = await store.newestCode(tx.sql, where, network_hash, now);
  const fresh = await newCode(app, tx, { purpose, email }, userId !== null);
  const onItsWay = budget.cooldownMs > 0 && running !== undefined;
  const mailed = onItsWay || budget.spentMs > 0 ? null : fresh.mailed;
  const ticket = newToken(app);
  const { salt, code_hash, code_until } = onItsWay && running.tickets < SHARED_MAX ? running : fresh;
  tx.insert(TICKETS, {
    ticket_hash: hashToken(ticket),
    ...where,
    network_hash,
    user_id: userId,
    password_hash: chosen?.passwordHash ?? passwordHash ?? null,
    display_name: chosen?.displayName ?? null,
    ...{ salt, code_hash, code_until, guesses: 0, near_guesses: 0, far_guesses: 0, password_needed: false },
    created_at: now,
    expires_at: new Date(now.getTime() + (purpose === "REGISTER" ? DAY_MS : CODE_LIFE_MS)),
  });
  if (mailed) noteMail(app, tx, where, network_hash, budget.cooldownMs);
  await store.deleteOver(tx.sql, now, new Date(now.getTime() - DAY_MS));
  return { ticket, mailed, spentMs: onItsWay ? 0 : budget.spentMs };
}

/**
 * A new code for a ticket, or without one for the newest request about the address; `userId` is null where there is no such request, and the same is written.
 * Inside the cooldown, and when the day's mails are used up, there is none, and `retryMs` tells until when.
 */
export async function renewCode(
  app: App<AuthConfig>,
  tx: Tx,
  { purpose, email, network }: Place,
  ticket: string,
): Promise<{ mailed: MailedCode | null; userId: string | null; retryMs: number }> {
  const now = app.clock.now();
  const where = { purpose, address_hash: digestOf(email) };
  const network_hash = digestOf(network);
  await store.lockAddress(tx.sql, where.address_hash);
  const { cooldownMs, spentMs } = await budgetOf(app, tx, where, network_hash, false);
  const row = await store.findTicket(tx.sql, where, ticket ? hashToken(ticket) : null, network_hash, now);
  const userId = row?.user_id ?? null;
  const { mailed, ...code } = await newCode(app, tx, { purpose, email }, userId !== null);
  const retryMs = Math.max(cooldownMs, spentMs);
  if (retryMs > 0) return { mailed: null, userId, retryMs };
  await store.renewCode(tx.sql, row?.ticket_hash ?? app.random.bytes(32), code);
  noteMail(app, tx, where, network_hash, cooldownMs);
  await store.deleteOver(tx.sql, now, new Date(now.getTime() - DAY_MS));
  return { mailed, userId, retryMs };
}

export interface Guess extends Place {
  code: string;
  /** Empty where none came along. */
  ticket: string;
}

/**
 * Spends one guess. The ticket whose code it is and that opens something, or undefined; it may have been redeemed before, within the life of its code.
 * The transaction must commit either way: a guess that was not counted was free.
 */
export async function tryCode(
  app: App<AuthConfig>,
  tx: Tx,
  { purpose, email, network, code, ticket }: Guess,
): Promise<store.TicketRow | undefined> {
  const now = app.clock.now();
  const where = { purpose, address_hash: digestOf(email) };
  const network_hash = digestOf(network);
  await store.lockAddress(tx.sql, where.address_hash);
  const rows = ticket
    ? await store.countGuess(tx.sql, where, hashToken(ticket))
    : await store.countOpenGuess(tx.sql, where, network_hash, now);
  await store.deleteOver(tx.sql, now, new Date(now.getTime() - DAY_MS));
  const secret = await secretFor(app, tx.sql, "codes");
  const spent = (row: store.TicketRow) =>
    ticket ? row.guesses : network_hash.equals(row.network_hash) ? row.near_guesses : row.far_guesses;
  return rows
    .filter((row) => timingSafeEqual(hashCode(secret, { purpose, email }, row.salt, code), row.code_hash))
    .filter((row) => row.user_id !== null && row.code_until > now && spent(row) <= GUESSES_MAX)
    .toSorted((a, b) => b.created_at.getTime() - a.created_at.getTime())[0];
}

/** What was last chosen for an address, from this network if there is any. */
export function findRegistration(
  app: App,
  sql: Sql,
  email: string,
  network: string,
): Promise<store.TicketRow | undefined> {
  const where = { purpose: "REGISTER", address_hash: digestOf(email) } as const;
  return store.findTicket(sql, where, null, digestOf(network), app.clock.now());
}

/** One answer for wrong, spent, expired and guessed too often, and for addresses that have no code: which of them it is helps only guessers. */
export function codeInvalid() {
  const description =
    "is not the newest code mailed to this address, is not for this ticket, has expired after 10 minutes, or was guessed wrong 5 times";
  const error = refused(Status.InvalidArgument, "CODE_INVALID", `code: ${description}`);
  error.details.push({ desc: BadRequestSchema, value: { fieldViolations: [{ field: "code", description }] } });
  return error;
}

export function tooManyMails(retryMs: number) {
  return refused(
    Status.ResourceExhausted,
    "TOO_MANY_MAILS",
    `at most ${MAILS_MAX} mails with codes go to one address in a day, ${MAILS_FROM_NETWORK_MAX} of them asked for from one network`,
    retryMs,
  );
}

/** What is left of the cooldown, and until one more mail fits into the day's budget. */
async function budgetOf(app: App, tx: Tx, where: store.Where, networkHash: Buffer, known: boolean) {
  const now = app.clock.now().getTime();
  const mails = await store.readCodeMails(tx.sql, where.address_hash, new Date(now - DAY_MS));
  const fromHere = mails.filter((mail) => networkHash.equals(mail.network_hash));
  const ofKind = fromHere.filter(({ purpose }) => purpose === where.purpose);
  const next = Math.max(0, ...ofKind.map(({ next_at }) => next_at.getTime()));
  // The mail that must be a day old before another one fits.
  const last = (sent: store.CodeMailRow[], max: number) => sent.at(-max)?.sent_at.getTime() ?? 0;
  const full = Math.max(last(fromHere, MAILS_FROM_NETWORK_MAX), known ? 0 : last(mails, MAILS_MAX));
  return { cooldownMs: Math.max(0, next - now), spentMs: full === 0 ? 0 : Math.max(1, full + DAY_MS - now) };
}

const CODE_MAILS = table("code_mails", {
  address_hash: "bytea",
  network_hash: "bytea",
  purpose: "text",
  sent_at: "timestamptz",
  next_at: "timestamptz",
});

/** A cooldown that is running is left as it is: its length must not tell whether a request was the first. */
function noteMail(app: App, tx: Tx, where: store.Where, network_hash: Buffer, cooldownMs: number) {
  const now = app.clock.now();
  tx.insert(CODE_MAILS, {
    ...where,
    network_hash,
    sent_at: now,
    next_at: new Date(now.getTime() + (cooldownMs || COOLDOWN_MS)),
  });
}

/** A code that opens nothing costs as much as one that does. */
async function newCode(app: App<AuthConfig>, tx: Tx, about: Pick<Place, "purpose" | "email">, opens: boolean) {
  const code = app.random.digits(CODE_DIGITS);
  const salt = app.random.bytes(16);
  const expiresAt = new Date(app.clock.now().getTime() + CODE_LIFE_MS);
  const right = hashCode(await secretFor(app, tx.sql, "codes"), about, salt, code);
  const nobodys = app.random.bytes(32);
  const mailed: MailedCode = { code, codeId: app.random.id(), expiresAt };
  return { salt, code_hash: opens ? right : nobodys, code_until: expiresAt, mailed };
}

function hashCode(
  secret: Buffer,
  { purpose, email }: Pick<Place, "purpose" | "email">,
  salt: Uint8Array,
  code: string,
): Buffer {
  return createHmac("sha256", secret).update(salt).update(`${purpose}\n${email}\n${code}`).digest();
}
