import type { MessageShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { UserDeleted } from "../../packages/api/facts.ts";
import type { DeleteAccountRequestSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { AccountNotice } from "../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import type { AuthConfig } from "./config.ts";
import { ownAccount, refuseForLastAdmin } from "./own-account.ts";
import * as store from "./store.ts";
import * as ticketStore from "./ticket-store.ts";
import { digestOf, passwordChangedMeanwhile, sendNotice } from "./user.ts";

/** What each service forgets, and what it must keep: docs/decisions/0038-what-is-forgotten.md */
export async function deleteAccount(
  app: App<AuthConfig>,
  caller: Caller,
  { password }: MessageShape<typeof DeleteAccountRequestSchema>,
  signal: AbortSignal,
) {
  const user = await ownAccount(app, caller, password, signal);
  await app.transact(async (tx) => {
    await refuseForLastAdmin(tx, user.user_id);
    if (!(await store.stillLetsIn(tx.sql, user))) throw passwordChangedMeanwhile();
    await store.deleteUser(tx.sql, user.user_id);
    await ticketStore.forgetAddress(tx.sql, digestOf(user.email), user.user_id);
    tx.emit(UserDeleted, { userId: user.user_id, deletedAt: timestampFromDate(app.clock.now()) });
    sendNotice(app, tx, user, AccountNotice.DELETED, caller.network);
  });
  app.log.info("user.deleted", { user_id: user.user_id });
  return {};
}
