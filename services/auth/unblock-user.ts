import type { MessageShape } from "@bufbuild/protobuf";
import type { UnblockUserRequestSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import type { App } from "../../packages/service/app.ts";
import { audit } from "../../packages/service/audit.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { notFound } from "../../packages/service/errors.ts";
import type { AuthConfig } from "./config.ts";
import * as store from "./store.ts";
import { toUser } from "./user.ts";

export async function unblockUser(
  app: App<AuthConfig>,
  caller: Caller,
  { userId }: MessageShape<typeof UnblockUserRequestSchema>,
) {
  const user = await app.transact(async (tx) => {
    const unblocked = await store.setUnblocked(tx.sql, userId);
    if (!unblocked) return store.findById(tx.sql, userId);
    audit(app, tx, caller, { subject: userId });
    return unblocked;
  });
  if (!user) throw notFound("user", userId);
  return { user: toUser(user) };
}
