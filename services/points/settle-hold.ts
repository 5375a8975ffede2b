import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { PointsCommitted, PointsReleased } from "../../packages/api/facts.ts";
import { Decision, type SettleHold } from "../../packages/api/gen/bodega/points/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { invalidField, notFound } from "../../packages/service/errors.ts";
import type { Message } from "../../packages/service/service.ts";
import { uuid } from "../../packages/service/uuid.ts";
import { closeBook, move, openBook } from "./book.ts";
import { type Hold, VERDICTS, type Verdict } from "./hold.ts";
import { lockHolds, saveHolds } from "./store.ts";

/** The coordinator's decisions that no fact tells: ABORT, and COMMIT in answer to a question. */
export async function settleHolds(app: App, tx: Tx, messages: Message<SettleHold>[]): Promise<void> {
  const told = messages.map(({ body, tx: own }) => ({
    holdId: uuid("hold_id", body.holdId),
    orderId: uuid("order_id", body.orderId),
    verdict: verdictOf(body),
    tx: own,
  }));
  await settle(app, tx, told);
}

function verdictOf({ decision }: SettleHold): Verdict {
  if (decision === Decision.COMMIT) return "commit";
  if (decision === Decision.ABORT) return "abort";
  throw invalidField("decision", `expected COMMIT or ABORT, found ${decision}`);
}

/** One verdict about one hold, and the transaction of the message that brought it. */
export interface Told {
  holdId: string;
  orderId: string;
  verdict: Verdict;
  tx: Tx;
}

/** Phase two: verdicts in their order, each hold and account locked once. What is told again changes nothing. */
export async function settle(app: App, tx: Tx, told: Told[]): Promise<void> {
  if (told.length === 0) return;
  const holds = await lockHolds(
    tx.sql,
    told.map(({ holdId }) => holdId),
  );
  const book = await openBook(
    tx,
    Array.from(holds.values(), ({ user_id }) => user_id),
  );
  const settled = new Set<Hold>();
  for (const { holdId, orderId, verdict, tx: own } of told) {
    const hold = holds.get(holdId);
    if (hold?.order_id !== orderId) throw notFound("hold", `${holdId} of order ${orderId}`);
    const step = VERDICTS[verdict][hold.status];
    if (step === "impossible") throw new Error(`hold ${holdId} of order ${orderId} is ${hold.status}: told ${verdict}`);
    if (!step) continue;
    const { user_id, amount } = hold;
    move(app, own, book, { kind: step.books, causeId: holdId, userId: user_id, amount, orderId });
    tell(app, own, hold, verdict);
    app.metrics.moves.inc({ aggregate: "hold", to: step.to });
    hold.status = step.to;
    hold.updated_at = app.clock.now();
    settled.add(hold);
  }
  if (settled.size > 0) await saveHolds(tx.sql, [...settled]);
  await closeBook(app, tx, book);
}

function tell(app: App, tx: Tx, hold: Hold, verdict: Verdict) {
  const { hold_id, order_id, user_id, amount } = hold;
  const at = timestampFromDate(app.clock.now());
  const about = { userId: user_id, holdId: hold_id, orderId: order_id, amount, at };
  if (verdict === "commit") tx.emit(PointsCommitted, about);
  else tx.emit(PointsReleased, { ...about, wasCommitted: verdict === "return" });
}
