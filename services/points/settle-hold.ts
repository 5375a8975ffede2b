import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { PointsCommitted, PointsReleased } from "../../packages/api/facts.ts";
import { Decision, type SettleHold } from "../../packages/api/gen/bodega/points/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { invalidField, notFound } from "../../packages/service/errors.ts";
import { inContextOf } from "../../packages/telemetry/context.ts";
import { closeBook, move, openBook } from "./book.ts";
import { type Hold, uuid, VERDICTS, type Verdict } from "./hold.ts";
import { lockHolds, saveHolds } from "./store.ts";

/** The coordinator's decisions that no fact tells: ABORT, and COMMIT in answer to a question. */
export async function settleHolds(app: App, tx: Tx, bodies: SettleHold[]): Promise<void> {
  const told = bodies.map((message) => ({
    holdId: uuid("hold_id", message.holdId),
    orderId: uuid("order_id", message.orderId),
    verdict: verdictOf(message),
    message,
  }));
  await settle(app, tx, told);
}

function verdictOf({ decision }: SettleHold): Verdict {
  if (decision === Decision.COMMIT) return "commit";
  if (decision === Decision.ABORT) return "abort";
  throw invalidField("decision", `expected COMMIT or ABORT, found ${decision}`);
}

/** One verdict about one hold, and the message that brought it. */
export interface Told {
  holdId: string;
  orderId: string;
  verdict: Verdict;
  message: object;
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
    Array.from(holds.values(), ({ userId }) => userId),
  );
  const settled = new Set<Hold>();
  for (const { holdId, orderId, verdict, message } of told) {
    const hold = holds.get(holdId);
    if (hold?.orderId !== orderId) throw notFound("hold", `${holdId} of order ${orderId}`);
    const step = VERDICTS[verdict][hold.status];
    if (step === "impossible") throw new Error(`hold ${holdId} of order ${orderId} is ${hold.status}: told ${verdict}`);
    if (!step) continue;
    const { userId, amount } = hold;
    inContextOf(message, () => {
      move(app, book, { kind: step.books, causeId: holdId, userId, amount, orderId });
      tell(app, tx, hold, verdict);
    });
    app.metrics.moves.inc({ aggregate: "hold", to: step.to });
    settled.add(Object.assign(hold, { status: step.to, updatedAt: app.clock.now() }));
  }
  if (settled.size > 0) await saveHolds(tx.sql, [...settled]);
  await closeBook(app, tx, book);
}

function tell(app: App, tx: Tx, { userId, holdId, orderId, amount }: Hold, verdict: Verdict) {
  const about = { userId, holdId, orderId, amount, at: timestampFromDate(app.clock.now()) };
  if (verdict === "commit") tx.emit(PointsCommitted, about);
  else tx.emit(PointsReleased, { ...about, wasCommitted: verdict === "return" });
}
