import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { PointsHeld } from "../../packages/api/facts.ts";
import type { PrepareHoldRequest } from "../../packages/api/gen/bodega/points/v1/points_pb.ts";
import { ResolveHold } from "../../packages/api/jobs.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { refused } from "../../packages/service/errors.ts";
import { accountOf, availableOf, type Book, closeBook, move, openBook } from "./book.ts";
import type { PointsConfig } from "./config.ts";
import { type Hold, holdMessage } from "./hold.ts";
import { findOpenHold, insertHold } from "./store.ts";

/** A coordinator that has not decided by then is asked. A machine's time: it does not shrink with TIME_SCALE. */
const IN_DOUBT_MS = 30_000;

/** Phase one: after this, the points can be spent by this order and by nothing else, until the coordinator has decided. */
export async function prepareHold(app: App<PointsConfig>, _caller: Caller, asked: PrepareHoldRequest) {
  refuseOtherCurrency(app.config, asked);
  return app.transact(async (tx) => {
    // The lock on the account lets two prepares of one order pass one after the other: the second finds the first one's hold.
    const book = await openBook(tx, [asked.userId]);
    const known = await findOpenHold(tx.sql, asked.orderId);
    if (known) refuseOther(known, asked);
    return { hold: holdMessage(known ?? (await hold(app, tx, book, asked))) };
  });
}

type Asked = Pick<PrepareHoldRequest, "orderId" | "userId" | "amount">;

async function hold(app: App, tx: Tx, book: Book, asked: Asked): Promise<Hold> {
  const { orderId, userId, amount } = asked;
  refuseUnlessEnough(book, asked);
  const now = app.clock.now();
  const holdId = app.random.idBeside(orderId);
  const made: Hold = {
    hold_id: holdId,
    order_id: orderId,
    user_id: userId,
    amount,
    status: "HELD",
    created_at: now,
    updated_at: now,
  };
  move(app, tx, book, { kind: "held", causeId: holdId, userId, amount, orderId });
  await insertHold(tx.sql, made);
  await closeBook(app, tx, book);
  tx.emit(PointsHeld, { userId, holdId, orderId, amount, at: timestampFromDate(now) });
  tx.enqueue(ResolveHold, { holdId, orderId }, { at: app.clock.soon(IN_DOUBT_MS) });
  app.metrics.moves.inc({ aggregate: "hold", to: made.status });
  return made;
}

/** Points earned in one currency and spent in another would be arbitrage. A coordinator that does not know of currencies yet names none. */
function refuseOtherCurrency({ currency }: PointsConfig, { orderId, currencyCode }: PrepareHoldRequest) {
  if (currencyCode === "" || currencyCode === currency) return;
  throw refused(
    Code.FailedPrecondition,
    "POINTS_CURRENCY",
    `order ${orderId} is in ${currencyCode}: points pay only for orders in ${currency}`,
  );
}

function refuseUnlessEnough(book: Book, { orderId, userId, amount }: Asked) {
  const account = accountOf(book, userId);
  const available = availableOf(account);
  if (available >= amount) return;
  const elsewhere = account.held > 0n ? `, and ${account.held} held for other orders` : "";
  throw refused(
    Code.FailedPrecondition,
    "NOT_ENOUGH_POINTS",
    `order ${orderId} costs ${amount} points: expected as many available, found ${available}${elsewhere}`,
  );
}

function refuseOther(known: Hold, { orderId, userId, amount }: Asked) {
  if (known.user_id === userId && known.amount === amount) return;
  throw refused(
    Code.AlreadyExists,
    "HOLD_DIFFERS",
    `order ${orderId} has a hold of ${known.amount} points of user ${known.user_id}: asked for ${amount} of ${userId}`,
  );
}
