import type { MessageShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type {
  ResendVerificationRequestSchema,
  VerifyEmailRequestSchema,
} from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { refused } from "../../packages/service/errors.ts";
import { codeInvalid, issueCode, redeemCode } from "./code.ts";
import type { AuthConfig } from "./config.ts";
import { emitVerified, mailCode } from "./register.ts";
import * as store from "./store.ts";
import { throttleCode } from "./throttle.ts";
import { normaliseEmail } from "./user.ts";

export async function verifyEmail(
  app: App<AuthConfig>,
  _caller: Caller,
  req: MessageShape<typeof VerifyEmailRequestSchema>,
) {
  const email = normaliseEmail(req.email);
  await throttleCode(app, "VERIFY_EMAIL", email);
  const verified = await app.transact(async (tx) => {
    const userId = await redeemCode(app, tx, { purpose: "VERIFY_EMAIL", email, code: req.code });
    return userId !== null && markVerified(app, tx, userId);
  });
  if (!verified) throw codeInvalid();
  return {};
}

/** Unknown and verified addresses have the same cooldown and get no mail. */
export async function resendVerification(
  app: App<AuthConfig>,
  _caller: Caller,
  req: MessageShape<typeof ResendVerificationRequestSchema>,
) {
  const email = normaliseEmail(req.email);
  const retryMs = await app.transact(async (tx) => {
    const user = await store.findByEmail(tx.sql, email);
    const owner = user && !user.verified_at ? user : null;
    const { issued, retryMs } = await issueCode(app, tx, {
      purpose: "VERIFY_EMAIL",
      email,
      owner: owner?.user_id ?? null,
    });
    if (owner && issued) mailCode(tx, owner, issued);
    return retryMs;
  });
  if (retryMs > 0)
    throw refused(Code.ResourceExhausted, "RESEND_COOLDOWN", "a code can be asked for once a minute", retryMs);
  return {};
}

/** True when the user was not verified before. */
export async function markVerified(app: App<AuthConfig>, tx: Tx, userId: string): Promise<boolean> {
  const now = app.clock.now();
  const user = await store.setVerified(tx.sql, userId, now);
  if (user) emitVerified(tx, user, now);
  return user !== undefined;
}
