import type { MessageShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { BeginPasskeyRegistrationRequestSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import type { AuthConfig } from "./config.ts";
import { ownAccount } from "./own-account.ts";
import {
  creationOptions,
  issueChallenge,
  passkeysOn,
  refuseByPasswordAlone,
  refuseTooMany,
} from "./passkeys/passkeys.ts";
import * as passkeyStore from "./passkeys/store.ts";
import * as store from "./store.ts";
import { throttleSecondFactor } from "./throttle.ts";
import { codeWrong, takeCode } from "./totp.ts";
import { passwordChangedMeanwhile } from "./user.ts";

/** A passkey opens the account without the second factor that is there, so a code of that one is asked for too. */
export async function beginPasskeyRegistration(
  app: App<AuthConfig>,
  caller: Caller,
  { password, code }: MessageShape<typeof BeginPasskeyRegistrationRequestSchema>,
  signal: AbortSignal,
) {
  const passkeys = passkeysOn(app);
  const user = await ownAccount(app, caller, password, signal);
  if (user.totp_since) await throttleSecondFactor(app, user, caller.network);
  const known = await passkeyStore.passkeysOf(app.sql, user.user_id);
  refuseTooMany(known);
  const begun = await app.transact(async (tx) => {
    if (user.totp_since && !(await takeCode(app, tx, user.user_id, code))) return undefined;
    if (!(await store.stillLetsIn(tx.sql, user))) throw passwordChangedMeanwhile();
    await refuseByPasswordAlone(app, tx.sql, caller, user);
    return issueChallenge(app, tx, user);
  });
  if (!begun) throw codeWrong(Code.PermissionDenied);
  const { challenge, expiresAt } = begun;
  return { options: await creationOptions(passkeys, challenge, user, known), challenge, expiresAt };
}
