import { createHmac, timingSafeEqual } from "node:crypto";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { SendVerificationCodeSchema } from "../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import { BadRequestSchema } from "../../packages/api/gen/google/rpc/error_details_pb.ts";
import { job } from "../../packages/api/messages.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { refused } from "../../packages/service/errors.ts";
import type { AuthConfig } from "./config.ts";
import { secretFor } from "./keys.ts";
import * as store from "./store.ts";
import { digestOf } from "./user.ts";

/** A mailed code: six digits, good for ten minutes and five guesses, at most one a minute. Only the newest of an address is good. */
export type Purpose = "VERIFY_EMAIL" | "RESET_PASSWORD";

const CODE_DIGITS = 6;
const CODE_LIFE_MS = 10 * 60_000;
const COOLDOWN_MS = 60_000;
const GUESSES_MAX = 5;
/** Rows that are over stay this long; each write removes a few. */
const KEPT_MS = 60 * 60_000;

export interface Issued {
  code: string;
  codeId: string;
  expiresAt: Date;
}

/**
 * A new code for `email`, to be mailed to its owner; without an owner the same rows are written and nothing is to be mailed.
 * Inside the cooldown there is none, unless `always`. `retryMs` is what is left of the cooldown.
 */
export async function issueCode(
  app: App<AuthConfig>,
  tx: Tx,
  {
    purpose,
    email,
    owner,
    always = false,
  }: { purpose: Purpose; email: string; owner: string | null; always?: boolean },
): Promise<{ issued: Issued | null; retryMs: number }> {
  const now = app.clock.now();
  const address_hash = digestOf(email);
  const code = app.random.digits(CODE_DIGITS);
  const salt = app.random.bytes(16);
  const expiresAt = new Date(now.getTime() + CODE_LIFE_MS);
  const real = hashCode(await secretFor(app, tx.sql, "codes"), purpose, email, salt, code);
  const code_hash = owner ? real : app.random.bytes(32);
  const cooldownFrom = new Date(now.getTime() - COOLDOWN_MS);
  const row = { purpose, address_hash, salt, code_hash, user_id: owner, sent_at: now, expires_at: expiresAt };
  const saved = await store.saveCode(tx.sql, row, cooldownFrom, always);
  const sentAt = saved ? now : await store.readSentAt(tx.sql, purpose, address_hash);
  await store.deleteCodesOver(tx.sql, new Date(now.getTime() - KEPT_MS));
  const issued = saved && owner ? { code, codeId: app.random.id(), expiresAt } : null;
  if (saved && !owner) sayNothing(app, tx, { email, code, expiresAt });
  return { issued, retryMs: saved ? 0 : Math.max(1, sentAt.getTime() + COOLDOWN_MS - now.getTime()) };
}

/** Takes the place of a mail where none may go out: enqueued, waking and done like one, it hides by its time that there is nobody to write to. */
export const SayNothing = job("auth", "say-nothing", SendVerificationCodeSchema, (body) => body.userId);

function sayNothing(
  app: App<AuthConfig>,
  tx: Tx,
  { email, code, expiresAt }: { email: string; code: string; expiresAt: Date },
) {
  const body = {
    userId: app.random.id(),
    email: email.replaceAll(/./g, "x"),
    displayName: "",
    code: code.replaceAll(/./g, "0"),
  };
  tx.enqueue(SayNothing, { ...body, codeId: app.random.id(), expiresAt: timestampFromDate(expiresAt) });
}

/**
 * Spends one guess, and the code when the guess is right: of two redemptions at once the second finds it spent. The user it was mailed to, or null.
 * The transaction must commit either way: a guess that was not counted was free.
 */
export async function redeemCode(
  app: App<AuthConfig>,
  tx: Tx,
  { purpose, email, code }: { purpose: Purpose; email: string; code: string },
): Promise<string | null> {
  const now = app.clock.now();
  const address_hash = digestOf(email);
  const blank = { purpose, address_hash, salt: app.random.bytes(16), code_hash: app.random.bytes(32) };
  const row = await store.countGuess(tx.sql, blank, now);
  await store.deleteCodesOver(tx.sql, new Date(now.getTime() - KEPT_MS));
  const offered = hashCode(await secretFor(app, tx.sql, "codes"), purpose, email, row.salt, code);
  const right = timingSafeEqual(offered, row.code_hash);
  if (!right || row.guesses > GUESSES_MAX || row.expires_at <= now || !row.user_id) return null;
  await store.spendCode(tx.sql, purpose, address_hash);
  return row.user_id;
}

/** One answer for wrong, spent, expired and guessed too often, and for addresses that have no code: which of them it is helps only guessers. */
export function codeInvalid() {
  const description =
    "is not the newest code mailed to this address, or it was used, has expired after 10 minutes, or was guessed wrong 5 times";
  const error = refused(Code.InvalidArgument, "CODE_INVALID", `code: ${description}`);
  error.details.push({ desc: BadRequestSchema, value: { fieldViolations: [{ field: "code", description }] } });
  return error;
}

function hashCode(secret: Buffer, purpose: Purpose, email: string, salt: Uint8Array, code: string): Buffer {
  return createHmac("sha256", secret).update(salt).update(`${purpose}\n${email}\n${code}`).digest();
}
