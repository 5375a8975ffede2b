import type { MessageShape } from "@bufbuild/protobuf";
import { Role, type SetRolesRequestSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import type { App } from "../../packages/service/app.ts";
import { audit } from "../../packages/service/audit.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { notFound } from "../../packages/service/errors.ts";
import type { AuthConfig } from "./config.ts";
import { refuseForLastAdmin } from "./own-account.ts";
import * as store from "./store.ts";
import { roleNames, toUser } from "./user.ts";

/** Takes effect at the user's next access token, ten minutes from now at the latest. */
export async function setRoles(app: App<AuthConfig>, caller: Caller, req: MessageShape<typeof SetRolesRequestSchema>) {
  const { userId, roles } = req;
  const user = await app.transact(async (tx) => {
    const { sql } = tx;
    if (!roles.includes(Role.ADMIN)) await refuseForLastAdmin(tx, userId);
    const user = await store.setRoles(sql, userId, roleNames(roles));
    if (user) audit(app, tx, caller, { subject: userId, detail: user.roles.join() });
    return user;
  });
  if (!user) throw notFound("user", userId);
  app.log.info("roles.set", { user_id: userId, roles: user.roles.join(), actor: caller.userId });
  return { user: toUser(user) };
}
