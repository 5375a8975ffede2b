import type { MessageShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { CompletePasskeyLoginRequestSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { AccountNotice } from "../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { refused } from "../../packages/service/errors.ts";
import type { AuthConfig } from "./config.ts";
import { userById } from "./own-account.ts";
import { passkeyInvalid, passkeysOn, readAssertion, spendChallenge, verifyAssertion } from "./passkeys/passkeys.ts";
import * as passkeyStore from "./passkeys/store.ts";
import { newSession, openSession, pairOf } from "./session.ts";
import * as store from "./store.ts";
import { throttlePasskeys } from "./throttle.ts";
import { accountBlocked, sendNotice } from "./user.ts";

/** Whose it is, the passkey says. Only who has it learns that the account is blocked. */
export async function completePasskeyLogin(
  app: App<AuthConfig>,
  { network }: Caller,
  { challenge, credential }: MessageShape<typeof CompletePasskeyLoginRequestSchema>,
) {
  const passkeys = passkeysOn(app);
  const response = readAssertion(credential);
  await throttlePasskeys(app, network);
  await spendChallenge(app, challenge, { purpose: "LOGIN", user_id: null });
  const passkey = await passkeyStore.findPasskey(app.sql, Buffer.from(response.id, "base64url"));
  const user = passkey && (await userById(app, passkey.user_id, network));
  if (!user) throw passkeyInvalid(Code.Unauthenticated);
  const { passkey_id } = passkey;
  const signed = await verifyAssertion(app, passkeys, challenge, response, passkey);
  if (user.blocked_at) throw accountBlocked();

  const session = await newSession(app, user, passkey_id);
  const outcome = await app.transact(async (tx) => {
    // What was changed in the meantime, such as a block or the passkey's removal, opens nothing.
    if (!(await store.stillLetsIn(tx.sql, user))) return "over";
    if (!(await passkeyStore.lockPasskey(tx.sql, passkey_id))) return "over";
    if (!(await passkeyStore.usePasskey(tx.sql, { passkey_id, ...signed }, app.clock.now()))) {
      sendNotice(app, tx, user, AccountNotice.PASSKEY_COPIED, network);
      return "copied";
    }
    await openSession(app, tx, user, network, session);
    return "open";
  });
  // Refused only now: the owner had to be told.
  if (outcome === "over") throw passkeyInvalid(Code.Unauthenticated);
  if (outcome === "copied") throw copied();
  return pairOf(session);
}

function copied() {
  const why =
    "this passkey was used more often before, so there may be two of it: log in another way, remove it, and add another one";
  return refused(Code.Unauthenticated, "PASSKEY_COPIED", why);
}
