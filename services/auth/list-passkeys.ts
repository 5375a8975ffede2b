import type { MessageShape } from "@bufbuild/protobuf";
import type { ListPasskeysRequestSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { isUuid } from "../../packages/time/ids.ts";
import type { AuthConfig } from "./config.ts";
import { passkeysOn, toPasskey } from "./passkeys/passkeys.ts";
import * as passkeyStore from "./passkeys/store.ts";

export async function listPasskeys(
  app: App<AuthConfig>,
  { userId }: Caller,
  _req: MessageShape<typeof ListPasskeysRequestSchema>,
) {
  passkeysOn(app);
  // A service has none.
  return { passkeys: isUuid(userId) ? (await passkeyStore.passkeysOf(app.sql, userId)).map(toPasskey) : [] };
}
