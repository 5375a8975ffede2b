import { Role } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import type { GetBalanceRequest } from "../../packages/api/gen/bodega/points/v1/points_pb.ts";
import { isUuid } from "../../packages/database/ids.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { invalidField, notFound } from "../../packages/service/errors.ts";
import { type Account, availableOf } from "./book.ts";
import { findAccount } from "./store.ts";

/** Who has never had points has none. */
export async function getBalance(app: App, caller: Caller, req: GetBalanceRequest) {
  const userId = userOf(caller, req.userId);
  return balanceMessage((await findAccount(app.sql, userId)) ?? { userId, balance: 0n, held: 0n, version: 0n });
}

/** Whose points are asked for: the caller's own, or for admins and services anybody's. Another's are as good as none. */
export function userOf({ userId: own, admin, roles }: Caller, asked: string): string {
  const userId = asked.toLowerCase() || own;
  if (userId !== own && !admin && !roles.includes(Role.SERVICE)) throw notFound("points account", asked);
  if (!isUuid(userId)) throw invalidField("user_id", `expected a user, found ${userId}, who has no points`);
  return userId;
}

export function balanceMessage(account: Account) {
  const { userId, balance, held } = account;
  return { userId, balance, held, available: availableOf(account) };
}
