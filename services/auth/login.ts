import type { MessageShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { LoginRequestSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { refused } from "../../packages/service/errors.ts";
import type { AuthConfig } from "./config.ts";
import { signingKey } from "./keys.ts";
import { verifyPassword } from "./password.ts";
import { hashToken, newRefreshToken, pairOf, SESSION_LIFE_MS } from "./session.ts";
import * as store from "./store.ts";
import { networkOf, throttleLogin } from "./throttle.ts";
import { digestOf, normaliseEmail } from "./user.ts";

/** Only who knows the password learns that the address is there, and that it is not verified. */
export async function login(app: App<AuthConfig>, caller: Caller, req: MessageShape<typeof LoginRequestSchema>) {
  const email = normaliseEmail(req.email);
  const network = networkOf(caller.address);
  const user = await store.findCredentials(app.sql, email, digestOf(network));
  await throttleLogin(app, email, network, user?.logins_from_here ?? 0);
  const right = await verifyPassword(req.password, user?.password_hash);
  if (!right || !user) throw wrong();
  if (!user.verified_at)
    throw refused(
      Code.FailedPrecondition,
      "EMAIL_NOT_VERIFIED",
      "the e-mail address is not verified: enter the mailed code first",
    );

  const key = await signingKey(app);
  const refreshToken = newRefreshToken(app);
  const issue = { userId: user.user_id, roles: user.roles, tokenId: app.random.id(), issuedAt: app.clock.now() };
  await app.transact(async (tx) => {
    // A password that was reset in the meantime opens nothing.
    if (!(await store.stillHas(tx.sql, user.user_id, user.password_hash))) throw wrong();
    await store.deleteSessionsOver(tx.sql, issue.issuedAt);
    await store.rememberNetwork(tx.sql, user.user_id, digestOf(network), issue.issuedAt);
    const session_id = app.random.id();
    const expires_at = new Date(issue.issuedAt.getTime() + SESSION_LIFE_MS);
    tx.insert("sessions", { session_id, user_id: user.user_id, created_at: issue.issuedAt, expires_at });
    tx.insert("refresh_tokens", {
      token_hash: hashToken(refreshToken),
      session_id,
      kid: key.kid,
      access_token_id: issue.tokenId,
      issued_at: issue.issuedAt,
    });
  });
  return pairOf(key, refreshToken, issue);
}

function wrong() {
  return refused(Code.Unauthenticated, "CREDENTIALS_INVALID", "the e-mail address or the password is wrong");
}
