import type { MessageShape } from "@bufbuild/protobuf";
import type { BlockUserRequestSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import type { App } from "../../packages/service/app.ts";
import { audit } from "../../packages/service/audit.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { notFound } from "../../packages/service/errors.ts";
import type { AuthConfig } from "./config.ts";
import { refuseForLastAdmin } from "./own-account.ts";
import * as store from "./store.ts";
import { toUser } from "./user.ts";

/** Access tokens that are out end within ten minutes; what they could do by a role of power ends now, for that is asked of us each time. */
export async function blockUser(
  app: App<AuthConfig>,
  caller: Caller,
  { userId, reason }: MessageShape<typeof BlockUserRequestSchema>,
) {
  const user = await app.transact(async (tx) => {
    await refuseForLastAdmin(tx, userId);
    const now = app.clock.now();
    const blocked = await store.setBlocked(tx.sql, userId, now, reason);
    if (!blocked) return store.findById(tx.sql, userId);
    await store.endSessionsOf(tx.sql, userId, "BLOCKED", now);
    audit(app, tx, caller, { subject: userId, reason });
    return blocked;
  });
  if (!user) throw notFound("user", userId);
  return { user: toUser(user) };
}
