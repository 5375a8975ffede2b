import type { MessageShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { RequestPasswordResetRequestSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { SendPasswordReset } from "../../packages/api/jobs.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import type { AuthConfig } from "./config.ts";
import * as store from "./store.ts";
import { findRegistration, issueTicket } from "./tickets.ts";
import { digestOf, normaliseEmail } from "./user.ts";

/** Within a minute of the last mail no other goes out, and nobody is told: the code that is on its way is good for the new ticket too. */
export async function requestPasswordReset(
  app: App<AuthConfig>,
  caller: Caller,
  req: MessageShape<typeof RequestPasswordResetRequestSchema>,
) {
  const email = normaliseEmail(req.email);
  const network = caller.network;
  return app.transact(async (tx) => {
    const user = await store.findCredentials(tx.sql, email, digestOf(network));
    // Who registered and never entered the code may enter this one.
    const applicant = await findRegistration(app, tx.sql, email, network);
    const userId = user?.user_id ?? applicant?.user_id ?? null;
    const known = (user?.logins_from_here ?? 0) > 0;
    const { ticket, mailed } = await issueTicket(app, tx, { purpose: "RESET_PASSWORD", email, network, userId, known });
    if (mailed) {
      const { code, codeId, expiresAt } = mailed;
      const to = { userId: userId ?? app.random.id(), email, displayName: user?.display_name ?? "" };
      const toNobody = userId === null;
      tx.enqueue(SendPasswordReset, { ...to, code, codeId, expiresAt: timestampFromDate(expiresAt), toNobody });
    }
    return { ticket };
  });
}
