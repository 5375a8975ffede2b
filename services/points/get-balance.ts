import type { GetBalanceRequest } from "../../packages/api/gen/bodega/points/v1/points_pb.ts";
import type { App } from "../../packages/service/app.ts";
import { type Caller, ownerOf } from "../../packages/service/caller.ts";
import { invalidField, notFound } from "../../packages/service/errors.ts";
import { isUuid } from "../../packages/time/ids.ts";
import { availableOf } from "./book.ts";
import type { Account } from "./ledger.ts";
import { findAccount } from "./store.ts";

/** Who has never had points has none. */
export async function getBalance(app: App, caller: Caller, req: GetBalanceRequest) {
  const userId = userOf(caller, req.userId);
  return balanceMessage(
    (await findAccount(app.sql, userId)) ?? { user_id: userId, balance: 0n, held: 0n, version: 0n },
  );
}

/** Whose points are asked for: the caller's own, or for admins and services anybody's. Another's are as good as none. */
export function userOf(caller: Caller, asked: string): string {
  const userId = asked || caller.userId;
  const owner = ownerOf(caller);
  if (owner !== null && owner !== userId) throw notFound("points account", asked);
  if (!isUuid(userId)) throw invalidField("user_id", `expected a user, found ${userId}, who has no points`);
  return userId;
}

export function balanceMessage(account: Account) {
  const { user_id, balance, held } = account;
  return { userId: user_id, balance, held, available: availableOf(account) };
}
