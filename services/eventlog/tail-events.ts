import type { TailEventsRequest } from "../../packages/api/gen/bodega/eventlog/v1/eventlog_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import type { EventLogConfig } from "./config.ts";
import { eventMessage } from "./event.ts";
import { EVENTS } from "./record-events.ts";
import { listEntries, readHead } from "./store.ts";

const ROWS_MAX = 200;

export async function* tailEvents(
  app: App<EventLogConfig>,
  _caller: Caller,
  req: TailEventsRequest,
  signal: AbortSignal,
) {
  let after = req.afterSequence ?? (await readHead(app.sql)).sequence;
  for (let first = true; !signal.aborted; first = false) {
    // The wait begins before the look, so that no event falls in between.
    const changed = app.watch.next(EVENTS, signal);
    const { sequence: upTo } = await readHead(app.sql);
    const entries =
      upTo > after ? await listEntries(app.sql, req, { after, upTo, oldestFirst: true, rowsMax: ROWS_MAX }) : [];
    for (const entry of entries) yield { event: eventMessage(entry), sequence: entry.sequence };
    // Told at once where the stream stands: who is cut off before anything happens knows where to go on.
    if (first && entries.length === 0) yield { sequence: after };
    const last = entries.at(-1);
    // What the filter passed over is not looked at again.
    after = entries.length === ROWS_MAX && last ? last.sequence : upTo > after ? upTo : after;
    if (entries.length < ROWS_MAX) await changed;
  }
}
