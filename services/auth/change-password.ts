import type { MessageShape } from "@bufbuild/protobuf";
import type { ChangePasswordRequestSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { AccountNotice } from "../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { tokenIdOf } from "../../packages/service/wire/tokens.ts";
import type { AuthConfig } from "./config.ts";
import { ownAccount } from "./own-account.ts";
import { checkPassword, hashPassword, turnOf } from "./password.ts";
import * as store from "./store.ts";
import { passwordChangedMeanwhile, sendNotice } from "./user.ts";

/** Whoever else is in with the old password is out, and the owner hears of it. */
export async function changePassword(
  app: App<AuthConfig>,
  caller: Caller,
  { oldPassword, newPassword }: MessageShape<typeof ChangePasswordRequestSchema>,
  signal: AbortSignal,
) {
  const user = await ownAccount(app, caller, oldPassword, signal);
  checkPassword("new_password", newPassword, user.email);
  const passwordHash = await hashPassword(newPassword, app.random.bytes(16), turnOf(caller, signal, true));
  await app.transact(async (tx) => {
    if (!(await store.stillLetsIn(tx.sql, user))) throw passwordChangedMeanwhile();
    await store.setPassword(tx.sql, user.user_id, passwordHash);
    const now = app.clock.now();
    await store.endOtherSessions(tx.sql, user.user_id, tokenIdOf(caller.token), "PASSWORD_CHANGED", now);
    sendNotice(app, tx, user, AccountNotice.PASSWORD_CHANGED, caller.network);
  });
  return {};
}
