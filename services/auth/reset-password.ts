import type { MessageShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type {
  RequestPasswordResetRequestSchema,
  ResetPasswordRequestSchema,
} from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { SendPasswordReset } from "../../packages/api/jobs.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { codeInvalid, issueCode, redeemCode } from "./code.ts";
import type { AuthConfig } from "./config.ts";
import { checkPassword, hashPassword } from "./password.ts";
import * as store from "./store.ts";
import { throttleCode } from "./throttle.ts";
import { normaliseEmail } from "./user.ts";
import { markVerified } from "./verify-email.ts";

/** Within a minute of the last mail no other goes out, and nobody is told: the code already mailed is good. */
export async function requestPasswordReset(
  app: App<AuthConfig>,
  _caller: Caller,
  req: MessageShape<typeof RequestPasswordResetRequestSchema>,
) {
  const email = normaliseEmail(req.email);
  await app.transact(async (tx) => {
    const user = await store.findByEmail(tx.sql, email);
    const { issued } = await issueCode(app, tx, { purpose: "RESET_PASSWORD", email, owner: user?.user_id ?? null });
    if (!user || !issued) return;
    const { user_id: userId, display_name: displayName } = user;
    tx.enqueue(SendPasswordReset, {
      userId,
      email,
      displayName,
      code: issued.code,
      codeId: issued.codeId,
      expiresAt: timestampFromDate(issued.expiresAt),
    });
  });
  return {};
}

/** The code was mailed, so it proves the address as well: an unverified user is verified by it. */
export async function resetPassword(
  app: App<AuthConfig>,
  _caller: Caller,
  req: MessageShape<typeof ResetPasswordRequestSchema>,
) {
  const email = normaliseEmail(req.email);
  checkPassword("new_password", req.newPassword, email);
  await throttleCode(app, "RESET_PASSWORD", email);
  const passwordHash = await hashPassword(req.newPassword);
  const done = await app.transact(async (tx) => {
    const userId = await redeemCode(app, tx, { purpose: "RESET_PASSWORD", email, code: req.code });
    if (userId === null) return false;
    await store.setPassword(tx.sql, userId, passwordHash);
    await store.endSessionsOf(tx.sql, userId, "PASSWORD_RESET", app.clock.now());
    await store.forgetNetworks(tx.sql, userId);
    await markVerified(app, tx, userId);
    return true;
  });
  if (!done) throw codeInvalid();
  return {};
}
