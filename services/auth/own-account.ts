import { Code } from "@connectrpc/connect";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { notFound, refused } from "../../packages/service/errors.ts";
import { isUuid } from "../../packages/time/ids.ts";
import { turnOf, verifyPassword } from "./password.ts";
import * as store from "./store.ts";
import { throttleLogin } from "./throttle.ts";
import { digestOf } from "./user.ts";

/** The caller's account, after the password: a token alone, which may be in other hands, changes nothing of it. Guesses are counted with those of Login. */
export async function ownAccount(
  app: App,
  caller: Caller,
  password: string,
  signal: AbortSignal,
): Promise<store.CredentialsRow> {
  const { network } = caller;
  const user = await ownUser(app, caller);
  await throttleLogin(app, user.email, network, user.logins_from_here);
  const turn = turnOf(caller, signal, user.logins_from_here > 0);
  if (!(await verifyPassword(password, user.password_hash, turn)))
    throw refused(Code.PermissionDenied, "CREDENTIALS_INVALID", "the password is wrong");
  return user;
}

/** The caller's account. */
export async function ownUser(app: App, { userId, network }: Caller): Promise<store.CredentialsRow> {
  // Services are callers too, under names that are no user's id.
  const user = isUuid(userId) ? await userById(app, userId, network) : undefined;
  if (!user) throw notFound("user", userId);
  return user;
}

export async function userById(app: App, userId: string, network: string): Promise<store.CredentialsRow | undefined> {
  const known = await store.findById(app.sql, userId);
  const user = known && (await store.findCredentials(app.sql, known.email, digestOf(network)));
  return user?.user_id === userId ? user : undefined;
}

/** Somebody must be left who can let others in. Held until the transaction ends. */
export async function refuseForLastAdmin(
  tx: { sql: Parameters<typeof store.lockAdmins>[0] },
  userId: string,
): Promise<void> {
  const admins = await store.lockAdmins(tx.sql);
  if (admins.includes(userId) && admins.length === 1)
    throw refused(Code.FailedPrecondition, "LAST_ADMIN", `user ${userId} is the last admin: make another one first`);
}
