import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { PointsGranted } from "../../packages/api/facts.ts";
import {
  type GrantPointsRequest,
  GrantPointsResponseSchema,
} from "../../packages/api/gen/bodega/points/v1/points_pb.ts";
import { type App, reading, type Tx } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { refused } from "../../packages/service/errors.ts";
import { type Account, accountOf, closeBook, move, openBook } from "./book.ts";
import { balanceMessage } from "./get-balance.ts";
import { findBooked } from "./store.ts";

/** Far from what 64 bits hold: orders that are completed add to it without asking. */
const BALANCE_MAX = 10n ** 15n;

/** Gives points to a user, once per `request_id`. Whether there is such a user is not checked: auth answers no RPC that would tell. */
export async function grantPoints(app: App, caller: Caller, req: GrantPointsRequest) {
  const { amount, reason, requestId } = req;
  const userId = req.userId.toLowerCase();
  const causeId = `${caller.userId} ${requestId}`;
  const story = async (tx: Tx) => {
    const book = await openBook(tx, [userId]);
    // The stored answer is forgotten after a while; the ledger is not.
    if ((await findBooked(tx.sql, "granted", [causeId])).has(causeId)) throw used(requestId);
    const account = accountOf(book, userId);
    refuseTooMany(account, amount);
    move(app, book, { kind: "granted", causeId, userId, amount, orderId: null, reason });
    await closeBook(app, tx, book);
    tx.emit(PointsGranted, { userId, amount, reason, at: timestampFromDate(app.clock.now()) });
    return balanceMessage(account);
  };
  return app.once(caller, GrantPointsResponseSchema, req, reading(story));
}

function refuseTooMany({ userId, balance }: Account, amount: bigint) {
  if (balance + amount <= BALANCE_MAX) return;
  throw refused(
    Code.OutOfRange,
    "TOO_MANY_POINTS",
    `user ${userId}: expected at most ${BALANCE_MAX} points, found ${balance + amount}`,
  );
}

function used(requestId: string) {
  return refused(Code.AlreadyExists, "REQUEST_ID_USED", `expected a new request_id, found ${requestId} in the ledger`);
}
