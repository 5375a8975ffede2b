import type { MessageShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { ConfirmTotpRequestSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { AccountNotice } from "../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { refused } from "../../packages/service/errors.ts";
import { tokenIdOf } from "../../packages/service/wire/tokens.ts";
import type { AuthConfig } from "./config.ts";
import { ownUser } from "./own-account.ts";
import * as store from "./store.ts";
import { throttleSecondFactor } from "./throttle.ts";
import * as ticketStore from "./ticket-store.ts";
import { codeWrong, hashRecoveryCode, newRecoveryCodes, takeCode, tellOwner } from "./totp.ts";

const ENROLMENT_LIFE_MS = 10 * 60_000;

/** Whoever is in by the password alone is out, but for the session that asks. */
export async function confirmTotp(
  app: App<AuthConfig>,
  caller: Caller,
  { code }: MessageShape<typeof ConfirmTotpRequestSchema>,
) {
  const user = await ownUser(app, caller);
  await throttleSecondFactor(app, user, caller.network);
  const recoveryCodes = newRecoveryCodes(app);
  const right = await app.transact(async (tx) => {
    const now = app.clock.now();
    const totp = await ticketStore.lockTotp(tx.sql, user.user_id);
    if (!totp || now.getTime() - totp.made_at.getTime() > ENROLMENT_LIFE_MS || user.totp_since) throw notEnrolled();
    if (!(await takeCode(app, tx, user.user_id, code))) return false;
    if (!(await ticketStore.enableTotp(tx.sql, user.user_id, now))) throw notEnrolled();
    await ticketStore.saveRecoveryCodes(tx.sql, user.user_id, recoveryCodes.map(hashRecoveryCode));
    await store.endOtherSessions(tx.sql, user.user_id, tokenIdOf(caller.token), "TOTP_ENABLED", now);
    tellOwner(app, tx, caller, user, AccountNotice.TOTP_ENABLED);
    return true;
  });
  if (!right) throw codeWrong(Code.PermissionDenied, { enrolled: false });
  return { recoveryCodes };
}

function notEnrolled() {
  const why = "no secret waits to be confirmed: EnrolTotp makes one, for ten minutes";
  return refused(Code.FailedPrecondition, "TOTP_NOT_ENROLLED", why);
}
