import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { isUuid } from "../../packages/time/ids.ts";
import type { AuthConfig } from "./config.ts";
import * as store from "./store.ts";

export async function logoutAll(app: App<AuthConfig>, caller: Caller) {
  if (!isUuid(caller.userId)) return {}; // A service: it has no sessions.
  await app.transact(({ sql }) => store.endSessionsOf(sql, caller.userId, "LOGOUT_ALL", app.clock.now()));
  return {};
}
