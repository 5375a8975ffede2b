import { createHash, createHmac } from "node:crypto";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Role } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { AccountNotice } from "../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import { table } from "../../packages/database/table.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { type SigningKey, signToken } from "../../packages/service/wire/tokens.ts";
import type { AuthConfig } from "./config.ts";
import { secretFor, signingKey } from "./keys.ts";
import * as store from "./store.ts";
import { digestOf, rolesNow, sendNotice, type UserRow } from "./user.ts";

/** However often it is refreshed, a session ends after this. */
const SESSION_LIFE_MS = 30 * 86_400_000;
/** An answer lost on its way is given again for this long. */
export const GRACE_MS = 10_000;
const TOKEN_BYTES = 32;

/** What one access token was made of: made again, it is the same token. */
export interface Issue {
  userId: string;
  roles: Role[];
  tokenId: string;
  issuedAt: Date;
}

export async function pairOf({ key, refreshToken, issue: { userId, roles, tokenId, issuedAt } }: NewSession) {
  const { token, expiresAt } = await signToken(key, { userId, roles, tokenId }, issuedAt);
  return { accessToken: token, refreshToken, expiresAt: timestampFromDate(expiresAt) };
}

export interface NewSession {
  key: SigningKey;
  refreshToken: string;
  issue: Issue;
  /** That opens it; undefined: a password does. */
  passkeyId?: string | undefined;
}

/** A session that openSession and pairOf are to follow. */
export async function newSession(app: App<AuthConfig>, user: UserRow, passkeyId?: string): Promise<NewSession> {
  const key = await signingKey(app);
  const refreshToken = newToken(app);
  const roles = rolesNow(app.config, user, passkeyId !== undefined);
  return {
    key,
    refreshToken,
    issue: { userId: user.user_id, roles, tokenId: app.random.id(), issuedAt: app.clock.now() },
    passkeyId,
  };
}

const SESSIONS = table("sessions", {
  session_id: "uuid",
  user_id: "uuid",
  network: "text",
  passkey_id: "uuid",
  created_at: "timestamptz",
  expires_at: "timestamptz",
});
const REFRESH_TOKENS = table("refresh_tokens", {
  token_hash: "bytea",
  session_id: "uuid",
  kid: "text",
  access_token_id: "uuid",
  issued_at: "timestamptz",
});

/** The owner hears of it where it is opened from a network that the account was never used from. */
export async function openSession(
  app: App<AuthConfig>,
  tx: Tx,
  user: store.CredentialsRow,
  network: string,
  { key, refreshToken, issue, passkeyId }: NewSession,
): Promise<void> {
  const { issuedAt } = issue;
  await store.deleteSessionsOver(tx.sql, issuedAt);
  if (user.logins_from_here === 0 && user.known_elsewhere)
    sendNotice(app, tx, user, AccountNotice.NEW_NETWORK, network);
  await store.rememberNetwork(tx.sql, user.user_id, digestOf(network), issuedAt);
  const session_id = app.random.id();
  const expires_at = new Date(issuedAt.getTime() + SESSION_LIFE_MS);
  const opened_by = { network, passkey_id: passkeyId ?? null };
  tx.insert(SESSIONS, { session_id, user_id: user.user_id, ...opened_by, created_at: issuedAt, expires_at });
  tx.insert(REFRESH_TOKENS, {
    token_hash: hashToken(refreshToken),
    session_id,
    kid: key.kid,
    access_token_id: issue.tokenId,
    issued_at: issuedAt,
  });
}

/** A token's successor follows from it, for whoever has the secret: so it can be given again although only its digest is kept. */
export async function successorOf(app: App<AuthConfig>, refreshToken: string): Promise<string> {
  const secret = await secretFor(app, app.sql, "refresh tokens");
  return createHmac("sha256", secret).update(refreshToken).digest("base64url");
}

/** What nobody guesses: refresh tokens, tickets, challenges. */
export function newToken({ random }: Pick<App, "random">): string {
  return Buffer.from(random.bytes(TOKEN_BYTES)).toString("base64url");
}

/** Tokens have 256 bits of chance in them, so a plain digest hides them. */
export function hashToken(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
