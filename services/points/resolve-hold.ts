import type { ResolveHold } from "../../packages/api/gen/bodega/points/v1/events_pb.ts";
import { DecideHold } from "../../packages/api/jobs.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import type { Message } from "../../packages/service/service.ts";
import { lockHolds } from "./store.ts";

/** Asks the coordinator what became of holds that are in doubt. The question waits for a coordinator that is away, and so does the answer for us. */
export async function resolveHolds(app: App, tx: Tx, messages: Message<ResolveHold>[]): Promise<void> {
  const holds = await lockHolds(
    tx.sql,
    messages.map(({ body }) => body.holdId),
  );
  for (const { body, tx: own } of messages) {
    const { holdId, orderId } = body;
    if (holds.get(holdId)?.status !== "HELD") continue;
    app.log.in(own.context).warn("hold.in_doubt", { hold_id: holdId, order_id: orderId });
    own.enqueue(DecideHold, { orderId, holdId });
  }
}
