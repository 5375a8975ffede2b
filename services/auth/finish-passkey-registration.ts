import type { MessageShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { FinishPasskeyRegistrationRequestSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { AccountNotice } from "../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { refused } from "../../packages/service/errors.ts";
import type { AuthConfig } from "./config.ts";
import { ownUser } from "./own-account.ts";
import {
  passkeysOn,
  readRegistration,
  refuseByPasswordAlone,
  refuseTooMany,
  spendChallenge,
  toPasskey,
  verifyRegistration,
} from "./passkeys/passkeys.ts";
import * as passkeyStore from "./passkeys/store.ts";
import * as store from "./store.ts";
import { tellOwner } from "./totp.ts";
import { checkName, passwordChangedMeanwhile } from "./user.ts";

/** The password was right when the challenge was given, and must be the same still. */
export async function finishPasskeyRegistration(
  app: App<AuthConfig>,
  caller: Caller,
  { challenge, credential, name }: MessageShape<typeof FinishPasskeyRegistrationRequestSchema>,
) {
  const passkeys = passkeysOn(app);
  checkName("name", name);
  const response = readRegistration(credential);
  const user = await ownUser(app, caller);
  const { user_id } = user;
  const begun = await spendChallenge(app, challenge, { purpose: "REGISTER", user_id });
  const made = await verifyRegistration(app, passkeys, challenge, response);
  const created_at = app.clock.now();
  const row = { ...made, passkey_id: app.random.id(), user_id, name, created_at, last_used_at: null };
  await app.transact(async (tx) => {
    await passkeyStore.lockOwner(tx.sql, user_id);
    const { password_hash, totp_since } = begun;
    if (!(await store.stillLetsIn(tx.sql, { user_id, password_hash: password_hash ?? "", totp_since })))
      throw passwordChangedMeanwhile();
    await refuseByPasswordAlone(app, tx.sql, caller, user);
    refuseTooMany(await passkeyStore.passkeysOf(tx.sql, user_id));
    if (!(await passkeyStore.insertPasskey(tx.sql, row))) throw known();
    tellOwner(app, tx, caller, user, AccountNotice.PASSKEY_ADDED);
  });
  return { passkey: toPasskey(row) };
}

function known() {
  const why = "this passkey opens an account already: make another one, or remove it there first";
  return refused(Code.AlreadyExists, "PASSKEY_KNOWN", why);
}
