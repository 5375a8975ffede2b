import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { notFound } from "../../packages/service/errors.ts";
import { isUuid } from "../../packages/time/ids.ts";
import type { AuthConfig } from "./config.ts";
import * as store from "./store.ts";
import { toUser } from "./user.ts";

export async function getMe(app: App<AuthConfig>, caller: Caller) {
  // Services are callers too, under names that are no user's id.
  const user = isUuid(caller.userId) ? await store.findById(app.sql, caller.userId) : undefined;
  if (!user) throw notFound("user", caller.userId);
  return { user: toUser(user) };
}
