import type { MessageShape } from "@bufbuild/protobuf";
import type { GetRolesRequestSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import type { AuthConfig } from "./config.ts";
import * as passkeyStore from "./passkeys/store.ts";
import * as store from "./store.ts";
import { rolesNow } from "./user.ts";

export async function getRoles(
  app: App<AuthConfig>,
  _caller: Caller,
  { userId }: MessageShape<typeof GetRolesRequestSchema>,
) {
  const user = await store.findById(app.sql, userId);
  if (!user || user.blocked_at) return { roles: [] };
  // Tokens of sessions that no passkey opened leave the role out by themselves.
  const passkeys = app.config.adminTotp ? await passkeyStore.passkeysOf(app.sql, userId) : [];
  return { roles: rolesNow(app.config, user, passkeys.length > 0) };
}
