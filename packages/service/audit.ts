import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { AuditRecorded } from "../api/facts.ts";
import type { App, Tx } from "./app.ts";
import type { Caller } from "./caller.ts";

/** What somebody with power did. */
export interface Act {
  /** The id of what it was done to. */
  subject: string;
  /** As the caller gave it. */
  reason?: string;
  /** What was done where the RPC's name does not say it all, such as the roles that were set. */
  detail?: string;
  /** Where it was done to an order, or to something of one. */
  orderId?: string;
}

/** Tells that somebody with power has used it, in the commit of the act: no act without its record, no record without the act. */
export function audit(app: Pick<App, "service" | "clock">, tx: Tx, { userId, rpc }: Caller, act: Act): void {
  tx.emit(AuditRecorded, {
    ...act,
    actor: userId,
    act: `${rpc.parent.name}.${rpc.name}`,
    service: app.service,
    traceId: tx.context.traceId,
    at: timestampFromDate(app.clock.now()),
  });
}
