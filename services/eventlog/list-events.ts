import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { ListEventsRequest } from "../../packages/api/gen/bodega/eventlog/v1/eventlog_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { readPage } from "../../packages/service/paging.ts";
import type { EventLogConfig } from "./config.ts";
import { eventMessage, isSequence } from "./event.ts";
import { listEntries } from "./store.ts";

export async function listEvents(app: App<EventLogConfig>, _caller: Caller, req: ListEventsRequest) {
  const { subject, type, orderId, oldestFirst } = req;
  const from = req.from && timestampDate(req.from);
  const to = req.to && timestampDate(req.to);
  const filter = { subject, type, orderId, from, to };
  const { page, nextPageToken } = await readPage(
    req,
    { ...filter, oldestFirst },
    (after, rowsMax) =>
      listEntries(app.sql, filter, { after: after === null ? null : BigInt(after), oldestFirst, rowsMax }),
    ({ sequence }) => `${sequence}`,
    isSequence,
  );
  return { events: page.map(eventMessage), nextPageToken };
}
