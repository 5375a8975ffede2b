import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { PointsGranted, PointsTakenBack } from "../../packages/api/facts.ts";
import {
  type GrantPointsRequest,
  GrantPointsResponseSchema,
} from "../../packages/api/gen/bodega/points/v1/points_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { audit } from "../../packages/service/audit.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { refused } from "../../packages/service/errors.ts";
import { accountOf, availableOf, closeBook, move, openBook } from "./book.ts";
import { balanceMessage } from "./get-balance.ts";
import type { Account } from "./ledger.ts";
import { findBooked } from "./store.ts";

/** Far from what 64 bits hold: orders that are completed add to it without asking. */
const BALANCE_MAX = 10n ** 15n;

/** Gives points to a user, or takes some back, once per `request_id`. Whether there is such a user is not checked: auth answers no RPC that would tell. */
export async function grantPoints(app: App, caller: Caller, req: GrantPointsRequest) {
  const { userId, amount, reason, requestId } = req;
  const causeId = `${caller.userId} ${requestId}`;
  const takes = amount < 0n;
  const moved = { userId, amount: takes ? -amount : amount, reason };
  const story = async (tx: Tx) => {
    const book = await openBook(tx, [userId]);
    // The stored answer is forgotten after a while; the ledger is not.
    if ((await findBooked(tx.sql, ["granted", "taken_back"], [causeId])).has(causeId)) throw used(requestId);
    const account = accountOf(book, userId);
    if (takes) refuseTooFew(account, moved.amount);
    else refuseTooMany(account, amount);
    move(app, tx, book, { ...moved, kind: takes ? "taken_back" : "granted", causeId, orderId: null });
    await closeBook(app, tx, book);
    tx.emit(takes ? PointsTakenBack : PointsGranted, { ...moved, at: timestampFromDate(app.clock.now()) });
    audit(app, tx, caller, { subject: userId, reason, detail: `${amount} points` });
    return balanceMessage(account);
  };
  return app.transactOnce(caller, GrantPointsResponseSchema, req, story);
}

function refuseTooMany({ user_id, balance }: Account, amount: bigint) {
  if (balance + amount <= BALANCE_MAX) return;
  throw refused(
    Code.OutOfRange,
    "TOO_MANY_POINTS",
    `user ${user_id}: expected at most ${BALANCE_MAX} points, found ${balance + amount}`,
  );
}

/** What is held for orders is not there to be taken. */
function refuseTooFew(account: Account, amount: bigint) {
  const available = availableOf(account);
  if (available >= amount) return;
  throw refused(
    Code.FailedPrecondition,
    "NOT_ENOUGH_POINTS",
    `user ${account.user_id}: expected ${amount} points to take back, found ${available} available`,
  );
}

function used(requestId: string) {
  return refused(Code.AlreadyExists, "REQUEST_ID_USED", `expected a new request_id, found ${requestId} in the ledger`);
}
