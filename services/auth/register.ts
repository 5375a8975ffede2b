import type { MessageShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { RegisterRequestSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { SendAddressTaken, SendVerificationCode } from "../../packages/api/jobs.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import type { AuthConfig } from "./config.ts";
import { secretFor } from "./keys.ts";
import { checkPassword, hashPassword, saltOf, turnOf } from "./password.ts";
import * as store from "./store.ts";
import { issueTicket, type MailedCode, tooManyMails } from "./tickets.ts";
import { checkEmail, checkName, normaliseEmail } from "./user.ts";

/**
 * Keeps what was chosen beside its ticket; the user is made when the code comes back. An address that has an account is answered alike, after the same work,
 * and its owner is mailed that somebody tried.
 */
export async function register(
  app: App<AuthConfig>,
  caller: Caller,
  req: MessageShape<typeof RegisterRequestSchema>,
  signal: AbortSignal,
) {
  const email = normaliseEmail(req.email);
  checkEmail("email", email);
  checkPassword("password", req.password, email);
  checkName("display_name", req.displayName);
  // One password for one address always has the same digest: so it shows later whether two registrations chose alike.
  const salt = saltOf(await secretFor(app, app.sql, "password salts"), email);
  const chosen = {
    passwordHash: await hashPassword(req.password, salt, turnOf(caller, signal)),
    displayName: req.displayName,
  };
  return app.transact(async (tx) => {
    const owner = await store.findVerified(tx.sql, email);
    const userId = app.random.id();
    const { ticket, mailed, spentMs } = await issueTicket(app, tx, {
      purpose: "REGISTER",
      email,
      network: caller.network,
      userId: owner ? null : userId,
      chosen,
    });
    if (spentMs > 0) throw tooManyMails(spentMs);
    if (mailed && owner) {
      const { user_id, display_name } = owner;
      tx.enqueue(SendAddressTaken, { userId: user_id, email, displayName: display_name, noticeId: mailed.codeId });
    } else if (mailed) mailCode(tx, { userId, email, toNobody: false }, mailed);
    return { userId, ticket };
  });
}

/** Without a name: until the code comes back, whoever chose it may be a stranger who wants this mail to say something. */
export function mailCode(
  tx: Tx,
  to: { userId: string; email: string; toNobody: boolean },
  { code, codeId, expiresAt }: MailedCode,
): void {
  tx.enqueue(SendVerificationCode, { ...to, code, codeId, expiresAt: timestampFromDate(expiresAt) });
}
