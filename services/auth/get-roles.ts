import type { MessageShape } from "@bufbuild/protobuf";
import type { GetRolesRequestSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import type { AuthConfig } from "./config.ts";
import * as store from "./store.ts";
import { rolesNow } from "./user.ts";

export async function getRoles(
  app: App<AuthConfig>,
  _caller: Caller,
  { userId }: MessageShape<typeof GetRolesRequestSchema>,
) {
  const user = await store.findById(app.sql, userId);
  return { roles: user && !user.blocked_at ? rolesNow(app.config, user) : [] };
}
