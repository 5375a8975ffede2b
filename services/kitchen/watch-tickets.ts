import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  WatchTicketsMark,
  type WatchTicketsRequest,
  type WatchTicketsResponseSchema,
} from "../../packages/api/gen/bodega/kitchen/v1/kitchen_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { invalidField } from "../../packages/service/errors.ts";
import type { KitchenConfig } from "./config.ts";
import { type Look, lookAtOpen, lookSince, type Seen } from "./store.ts";
import { TICKETS, ticketMessage } from "./ticket.ts";

const ROWS_AT_ONCE = 500;

/** The open tickets, then each that changes. Between two looks a ticket may move twice: then only where it ended is told. */
export async function* watchTickets(
  app: App<KitchenConfig>,
  _caller: Caller,
  { resumeToken }: WatchTicketsRequest,
  signal: AbortSignal,
): AsyncGenerator<MessageInitShape<typeof WatchTicketsResponseSchema>> {
  let since = resumeToken && (await horizonOf(app, resumeToken));
  let mark: WatchTicketsMark = since ? WatchTicketsMark.RESUMED : WatchTicketsMark.SNAPSHOT;
  let told = new Map<string, bigint>();
  while (!signal.aborted) {
    // The wait begins before the look, so that no change falls in between.
    const change = app.watch.next(TICKETS, signal);
    const seen = new Map<string, bigint>();
    const look = lookFrom(app, since);
    let last: Seen | undefined;
    let next = await look.next();
    for (; !next.done; next = await look.next()) {
      seen.set(next.value.ticket_id, next.value.version);
      // What was told before comes again only if the last look had it too.
      if (told.get(next.value.ticket_id) === next.value.version) continue;
      if (last) yield { ticket: ticketMessage(last), resumeToken: since };
      last = next.value;
    }
    since = next.value;
    // The last one is held back, to carry where all of this look has been told.
    if (last || mark) yield { ...(last && { ticket: ticketMessage(last) }), resumeToken: since, mark };
    mark = WatchTicketsMark.UNSPECIFIED;
    told = seen;
    await change;
  }
}

/** Each ticket of one look, and its horizon: of the first page, so that what changes while the others are read comes again. */
async function* lookFrom({ sql }: App, since: string): AsyncGenerator<Seen, string> {
  const read = (after?: Seen): Promise<Look> =>
    since ? lookSince(sql, since, after, ROWS_AT_ONCE) : lookAtOpen(sql, after, ROWS_AT_ONCE);
  let { tickets, horizon } = await read();
  for (;;) {
    yield* tickets;
    if (tickets.length < ROWS_AT_ONCE) return horizon;
    ({ tickets } = await read(tickets.at(-1)));
  }
}

/** Empty for one that this database has not come to: it was put back to an earlier state, so all is told anew. */
async function horizonOf({ sql }: App, resumeToken: string): Promise<string> {
  if (!/^\d{1,19}$/.test(resumeToken))
    throw invalidField("resume_token", "expected the resume_token of a message of this stream, found something else");
  const { horizon } = await lookAtOpen(sql, undefined, 0);
  return BigInt(resumeToken) <= BigInt(horizon) ? resumeToken : "";
}
