import type { MessageShape } from "@bufbuild/protobuf";
import type { RemovePasskeyRequestSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { AccountNotice } from "../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { notFound } from "../../packages/service/errors.ts";
import { tokenIdOf } from "../../packages/service/wire/tokens.ts";
import type { AuthConfig } from "./config.ts";
import { ownAccount, ownUser } from "./own-account.ts";
import { passkeysOn, refuseByPasswordAlone } from "./passkeys/passkeys.ts";
import * as passkeyStore from "./passkeys/store.ts";
import * as store from "./store.ts";
import { tellOwner } from "./totp.ts";
import { passwordChangedMeanwhile } from "./user.ts";

/** Another's passkey is as good as none. The device may be lost, so whoever is in by it is out, but for the session that asks. */
export async function removePasskey(
  app: App<AuthConfig>,
  caller: Caller,
  { passkeyId, password }: MessageShape<typeof RemovePasskeyRequestSchema>,
  signal: AbortSignal,
) {
  passkeysOn(app);
  // Asked first, so that no guess at the password is spent on it.
  const own = await passkeyStore.passkeysOf(app.sql, (await ownUser(app, caller)).user_id);
  if (!own.some(({ passkey_id }) => passkey_id === passkeyId.toLowerCase())) throw notFound("passkey", passkeyId);
  const user = await ownAccount(app, caller, password, signal);
  await app.transact(async (tx) => {
    if (!(await store.stillLetsIn(tx.sql, user))) throw passwordChangedMeanwhile();
    await refuseByPasswordAlone(app, tx.sql, caller, user);
    const which = { passkeyId, userId: user.user_id, accessTokenId: tokenIdOf(caller.token) };
    if (!(await passkeyStore.removePasskey(tx.sql, which, app.clock.now()))) throw notFound("passkey", passkeyId);
    tellOwner(app, tx, caller, user, AccountNotice.PASSKEY_REMOVED);
  });
  return {};
}
