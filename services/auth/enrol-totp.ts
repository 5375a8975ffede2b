import type { MessageShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { EnrolTotpRequestSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { refused } from "../../packages/service/errors.ts";
import type { AuthConfig } from "./config.ts";
import { ownAccount } from "./own-account.ts";
import { refuseByPasswordAlone } from "./passkeys/passkeys.ts";
import * as store from "./store.ts";
import * as ticketStore from "./ticket-store.ts";
import { newTotp, sealedTotp } from "./totp.ts";
import { passwordChangedMeanwhile } from "./user.ts";

/** Login does not ask for it before ConfirmTotp: who cannot read the secret into an app is not locked out. */
export async function enrolTotp(
  app: App<AuthConfig>,
  caller: Caller,
  { password }: MessageShape<typeof EnrolTotpRequestSchema>,
  signal: AbortSignal,
) {
  const user = await ownAccount(app, caller, password, signal);
  if (user.totp_since) throw enabled();
  await refuseByPasswordAlone(app, app.sql, caller, user);
  const totp = newTotp(app, user.email);
  await app.transact(async (tx) => {
    await ticketStore.saveTotp(tx.sql, user.user_id, await sealedTotp(app, tx.sql, user.user_id, totp.secret));
    if (!(await store.stillLetsIn(tx.sql, user))) throw passwordChangedMeanwhile();
  });
  return totp;
}

function enabled() {
  return refused(Code.FailedPrecondition, "TOTP_ENABLED", "this account has a second factor already: RemoveTotp first");
}
