import type { MessageShape } from "@bufbuild/protobuf";
import type { ChangeEmailRequestSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { SendAddressTaken } from "../../packages/api/jobs.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { invalidField } from "../../packages/service/errors.ts";
import type { AuthConfig } from "./config.ts";
import { ownAccount } from "./own-account.ts";
import { mailCode } from "./register.ts";
import * as store from "./store.ts";
import { issueTicket, tooManyMails } from "./tickets.ts";
import { checkEmail, normaliseEmail } from "./user.ts";

/** Nothing changes before the code comes back from the new address (verify-email.ts). One that has an account is answered like a free one. */
export async function changeEmail(
  app: App<AuthConfig>,
  caller: Caller,
  req: MessageShape<typeof ChangeEmailRequestSchema>,
  signal: AbortSignal,
) {
  const email = normaliseEmail(req.newEmail);
  checkEmail("new_email", email);
  const { user_id, email: before, password_hash: passwordHash } = await ownAccount(app, caller, req.password, signal);
  if (email === before) throw invalidField("new_email", "is the address that the account has already");
  return app.transact(async (tx) => {
    const owner = await store.findVerified(tx.sql, email);
    const { ticket, mailed, spentMs } = await issueTicket(app, tx, {
      purpose: "CHANGE_EMAIL",
      email,
      network: caller.network,
      userId: owner ? null : user_id,
      passwordHash,
    });
    if (spentMs > 0) throw tooManyMails(spentMs);
    if (mailed && owner) {
      const { user_id: userId, display_name: displayName } = owner;
      tx.enqueue(SendAddressTaken, { userId, email, displayName, noticeId: mailed.codeId });
    } else if (mailed) mailCode(tx, { userId: user_id, email, toNobody: false }, mailed);
    return { ticket };
  });
}
