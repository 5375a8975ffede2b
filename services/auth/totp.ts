import { Code } from "@connectrpc/connect";
import { Secret, TOTP } from "otpauth";
import type { AccountNotice } from "../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import type { Sql } from "../../packages/database/database.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { audit } from "../../packages/service/audit.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { refused } from "../../packages/service/errors.ts";
import type { AuthConfig } from "./config.ts";
import { fingerprint, seal, secretFor, unseal } from "./keys.ts";
import { ownAccount, ownUser } from "./own-account.ts";
import { hashToken } from "./session.ts";
import * as store from "./store.ts";
import { throttleSecondFactor } from "./throttle.ts";
import * as ticketStore from "./ticket-store.ts";
import { passwordChangedMeanwhile, sendNotice } from "./user.ts";

/*
 * What apps all understand: RFC 6238 with SHA-1, six digits, 30 seconds. A code shows that somebody has the secret now, so it is taken once, and neither is
 * one that is older than it.
 */

const SECRET_BYTES = 20;
/** Clocks of telephones may differ by one. */
const STEPS_OFF_MAX = 1;
const RECOVERY_CODES = 10;
/** So much chance that a plain digest hides it: recovery codes stay good when AUTH_SECRET changes. */
const RECOVERY_CODE_BYTES = 10;
const WRONG = "the code is wrong, was used before, or is not of this time: take the next one";

/** A secret, and the same as apps read it from a QR code. */
export function newTotp(app: Pick<App, "random">, email: string): { secret: string; otpauthUri: string } {
  const totp = totpOf(base32(app.random.bytes(SECRET_BYTES)), email);
  return { secret: totp.secret.base32, otpauthUri: totp.toString() };
}

/** Such as ABCD-EFGH-IJKL-MNOP. */
export function newRecoveryCodes(app: Pick<App, "random">): string[] {
  return Array.from({ length: RECOVERY_CODES }, () =>
    base32(app.random.bytes(RECOVERY_CODE_BYTES)).replace(/(.{4})(?=.)/g, "$1-"),
  );
}

export function hashRecoveryCode(code: string): Buffer {
  return hashToken(code.replace(/[\s-]/g, "").toUpperCase());
}

export async function sealedTotp(
  app: App<AuthConfig>,
  sql: Sql,
  userId: string,
  secret: string,
): Promise<ticketStore.TotpRow> {
  const key = await secretFor(app, sql, "totp secrets");
  const sealed_secret = seal(app, key, userId, secret);
  return { sealed_secret, secret_fingerprint: fingerprint(key), made_at: app.clock.now() };
}

/** Takes a code of the app or a recovery code, and says which it was; undefined when it is neither. Locks the second factor, before the user's row. */
export async function takeCode(
  app: App<AuthConfig>,
  tx: Tx,
  userId: string,
  code: string,
): Promise<"app" | "recovery" | undefined> {
  const row = await ticketStore.lockTotp(tx.sql, userId);
  if (!row) return undefined;
  if (/^[0-9]{6}$/.test(code)) return (await takeTotpCode(app, tx, userId, row, code)) ? "app" : undefined;
  return (await ticketStore.spendRecoveryCode(tx.sql, userId, hashRecoveryCode(code))) ? "recovery" : undefined;
}

/** Whether it is a code of the app for this time, or for one beside it, that was not taken before. It is not taken again. */
async function takeTotpCode(
  app: App<AuthConfig>,
  tx: Tx,
  userId: string,
  { sealed_secret, secret_fingerprint }: ticketStore.TotpRow,
  code: string,
): Promise<boolean> {
  const key = await secretFor(app, tx.sql, "totp secrets");
  if (!fingerprint(key).equals(secret_fingerprint)) {
    app.log.error("totp.unreadable", { user_id: userId, because: "the secret was sealed with another AUTH_SECRET" });
    return false;
  }
  const timestamp = app.clock.now().getTime();
  const off = totpOf(unseal(key, userId, sealed_secret), "").validate({
    token: code,
    timestamp,
    window: STEPS_OFF_MAX,
  });
  return off !== null && ticketStore.useStep(tx.sql, userId, TOTP.counter({ timestamp }) + off);
}

/** What changes the second factor wants both: the password, and a code. */
export async function withBothFactors<T>(
  app: App<AuthConfig>,
  caller: Caller,
  { password, code }: { password: string; code: string },
  signal: AbortSignal,
  act: (tx: Tx, user: store.CredentialsRow) => Promise<T>,
): Promise<T> {
  // Asked first, so that no guess at the password is spent on it.
  if (!(await ownUser(app, caller)).totp_since) throw notEnabled();
  const user = await ownAccount(app, caller, password, signal);
  await throttleSecondFactor(app, user, caller.network);
  const done = await app.transact(async (tx) => {
    if (!(await takeCode(app, tx, user.user_id, code))) return undefined;
    if (!(await store.stillLetsIn(tx.sql, user))) throw passwordChangedMeanwhile();
    return { answer: await act(tx, user) };
  });
  if (!done) throw codeWrong(Code.PermissionDenied);
  return done.answer;
}

/** The owner hears of it, and of an admin so does the journal. */
export function tellOwner(app: App, tx: Tx, caller: Caller, user: store.CredentialsRow, notice: AccountNotice): void {
  sendNotice(app, tx, user, notice, caller.network);
  if (user.roles.includes("ROLE_ADMIN")) audit(app, tx, caller, { subject: user.user_id });
}

function notEnabled() {
  const why = "this account has no second factor: EnrolTotp makes one";
  return refused(Code.FailedPrecondition, "TOTP_NOT_ENABLED", why);
}

/** Recovery codes are there as soon as the second factor is. */
export function codeWrong(status: Code, { enrolled = true } = {}) {
  return refused(status, "SECOND_FACTOR_INVALID", enrolled ? `${WRONG}, or a recovery code` : WRONG);
}

function totpOf(secret: string, label: string): TOTP {
  return new TOTP({ issuer: "Bodega", label, secret });
}

function base32(bytes: Uint8Array): string {
  return new Secret({ buffer: bytes.slice().buffer }).base32;
}
