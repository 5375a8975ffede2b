import type { MessageShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import {
  type ListUsersRequestSchema,
  Role,
  type SetRolesRequestSchema,
} from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { isUuid } from "../../packages/database/ids.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { notFound, refused } from "../../packages/service/errors.ts";
import { readPage } from "../../packages/service/paging.ts";
import type { AuthConfig } from "./config.ts";
import * as store from "./store.ts";
import { roleNames, toUser } from "./user.ts";

export async function getMe(app: App<AuthConfig>, caller: Caller) {
  // Services are callers too, under names that are no user's id.
  const user = isUuid(caller.userId) ? await store.findById(app.sql, caller.userId) : undefined;
  if (!user) throw notFound("user", caller.userId);
  return { user: toUser(user) };
}

export async function listUsers(
  app: App<AuthConfig>,
  _caller: Caller,
  req: MessageShape<typeof ListUsersRequestSchema>,
) {
  const { page, nextPageToken } = await readPage(
    req,
    {},
    (after, rowsMax) => store.listUsers(app.sql, after, rowsMax),
    (row) => row.user_id,
  );
  return { users: page.map(toUser), nextPageToken };
}

/** Takes effect at the user's next access token, ten minutes from now at the latest. */
export async function setRoles(app: App<AuthConfig>, caller: Caller, req: MessageShape<typeof SetRolesRequestSchema>) {
  const { roles } = req;
  const userId = req.userId.toLowerCase();
  const user = await app.transact(async ({ sql }) => {
    const admins = await store.lockAdmins(sql);
    const others = admins.some((id) => id !== userId);
    if (!roles.includes(Role.ADMIN) && admins.includes(userId) && !others) {
      throw refused(Code.FailedPrecondition, "LAST_ADMIN", `user ${userId} is the last admin: make another one first`);
    }
    return store.setRoles(sql, userId, roleNames(roles));
  });
  if (!user) throw notFound("user", userId);
  app.log.info("roles.set", { user_id: userId, roles: user.roles.join(), actor: caller.userId });
  return { user: toUser(user) };
}
