import type { SumCalculated } from "../../packages/api/gen/bodega/canary/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import type { Message } from "../../packages/service/service.ts";
import { uuid } from "../../packages/service/uuid.ts";
import { insertArrivals } from "./store.ts";

/** Adds up what comes. The inbox has turned away second deliveries: one that gets here all the same is counted, for it is what the canary is there to find. */
export async function onSumCalculated(app: App, tx: Tx, messages: Message<SumCalculated>[]): Promise<void> {
  const bodies = messages.map(({ body }) => ({ ...body, sumId: uuid("sum_id", body.sumId) }));
  await insertArrivals(tx.sql, bodies, app.clock.now());
}
