import { createHash, createHmac } from "node:crypto";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { App } from "../../packages/service/app.ts";
import { type SigningKey, signToken } from "../../packages/service/tokens.ts";
import type { AuthConfig } from "./config.ts";
import { secretFor } from "./keys.ts";
import { rolesOf } from "./user.ts";

/** However often it is refreshed, a session ends after this. */
export const SESSION_LIFE_MS = 30 * 86_400_000;
/** An answer lost on its way is given again for this long. */
export const GRACE_MS = 10_000;
const TOKEN_BYTES = 32;

/** What one access token was made of: made again, it is the same token. */
export interface Issue {
  userId: string;
  roles: string[];
  tokenId: string;
  issuedAt: Date;
}

export async function pairOf(key: SigningKey, refreshToken: string, { userId, roles, tokenId, issuedAt }: Issue) {
  const { token, expiresAt } = await signToken(key, { userId, roles: rolesOf(roles), tokenId }, issuedAt);
  return { accessToken: token, refreshToken, expiresAt: timestampFromDate(expiresAt) };
}

export function newRefreshToken(app: App<AuthConfig>): string {
  return Buffer.from(app.random.bytes(TOKEN_BYTES)).toString("base64url");
}

/** A token's successor follows from it, for whoever has the secret: so it can be given again although only its digest is kept. */
export async function successorOf(app: App<AuthConfig>, refreshToken: string): Promise<string> {
  const secret = await secretFor(app, app.sql, "refresh tokens");
  return createHmac("sha256", secret).update(refreshToken).digest("base64url");
}

/** Tokens have 256 bits of chance in them, so a plain digest hides them. */
export function hashToken(refreshToken: string): Buffer {
  return createHash("sha256").update(refreshToken).digest();
}
