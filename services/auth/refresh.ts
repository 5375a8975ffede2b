import type { MessageShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { RefreshRequestSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { refused } from "../../packages/service/errors.ts";
import type { AuthConfig } from "./config.ts";
import { keyById, signingKey } from "./keys.ts";
import { GRACE_MS, hashToken, pairOf, successorOf } from "./session.ts";
import * as store from "./store.ts";
import { rolesNow } from "./user.ts";

const REFUSALS = {
  REFRESH_TOKEN_INVALID: "this is no refresh token of ours: log in",
  REFRESH_TOKEN_REUSED:
    "this refresh token was used before, so somebody else may have it: the session is ended, log in",
  SESSION_ENDED: "the session is over: log in",
};

/** Each token buys one successor. Used again it ends the session, for thief and owner alike, unless its answer may have been lost a moment ago. */
export async function refresh(
  app: App<AuthConfig>,
  _caller: Caller,
  { refreshToken }: MessageShape<typeof RefreshRequestSchema>,
) {
  const key = await signingKey(app);
  const successor = await successorOf(app, refreshToken);
  const outcome = await app.transact(async ({ sql }) => {
    const now = app.clock.now();
    const session = await store.lockSession(sql, hashToken(refreshToken));
    if (!session) return "REFRESH_TOKEN_INVALID";
    if (session.ended_at || session.expires_at <= now) return "SESSION_ENDED";
    const token = await store.readToken(sql, hashToken(refreshToken));
    if (!token) throw new Error(`session ${session.session_id} lost the token it was found by`);
    if (!token.rotated_at) {
      const next = {
        token_hash: hashToken(successor),
        session_id: session.session_id,
        kid: key.kid,
        access_token_id: app.random.id(),
        issued_at: now,
      };
      await store.rotateToken(sql, token.token_hash, next);
      return { session, issued: next };
    }
    const issued = await store.readToken(sql, hashToken(successor));
    if (issued && !issued.rotated_at && now.getTime() - token.rotated_at.getTime() <= GRACE_MS)
      return { session, issued };
    await store.endSession(sql, session.session_id, "REUSE", now);
    return "REFRESH_TOKEN_REUSED";
  });
  // Refused only now: ending the session had to commit.
  if (typeof outcome === "string") throw refused(Code.Unauthenticated, outcome, REFUSALS[outcome]);
  const { session, issued } = outcome;
  // Made again with the key of the first answer, unless that was revoked since.
  const signer = issued.kid === key.kid ? key : ((await keyById(app, issued.kid)) ?? key);
  const issue = {
    userId: session.user_id,
    roles: rolesNow(app.config, session, session.passkey_id !== null),
    tokenId: issued.access_token_id,
    issuedAt: issued.issued_at,
  };
  return pairOf({ key: signer, refreshToken: successor, issue });
}
