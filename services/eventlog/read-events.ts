import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { ReadEventsRequest } from "../../packages/api/gen/bodega/eventlog/v1/eventlog_pb.ts";
import type { Sql } from "../../packages/database/database.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { type Page, readPage } from "../../packages/service/paging.ts";
import type { EventLogConfig } from "./config.ts";
import { findEntries, lastSeal, readEntries, type SealedEntry } from "./store.ts";

/** For programs, not for people: pages are as large as a message may well be. */
const PAGE_SIZE = 1_000;

export async function readEvents(app: App<EventLogConfig>, _caller: Caller, req: ReadEventsRequest) {
  const seal = await lastSeal(app.sql);
  const { page, nextPageToken } = await entriesOf(app.sql, req);
  return {
    ...(seal && { completeFrom: timestampFromDate(seal.recorded_at) }),
    events: page.map(({ event_id, type, subject, time, body }) => ({
      ...{ eventId: event_id, type, subject, body },
      time: timestampFromDate(time),
    })),
    nextPageToken,
  };
}

async function entriesOf(sql: Sql, { from, to, pageToken, eventIds }: ReadEventsRequest): Promise<Page<SealedEntry>> {
  if (!from || !to) return { page: await findEntries(sql, eventIds), nextPageToken: "" };
  const span = { from: timestampDate(from), to: timestampDate(to) };
  return readPage(
    { pageSize: PAGE_SIZE, pageToken },
    span,
    (after, rowsMax) => readEntries(sql, span, after === null ? null : placeIn(after), rowsMax),
    ({ time, sequence }) => `${time.getTime()}-${sequence}`,
    (text) => /^\d{1,15}-\d{1,18}$/.test(text),
  );
}

function placeIn(token: string): { time: Date; sequence: bigint } {
  const [time = "", sequence = ""] = token.split("-");
  return { time: new Date(Number(time)), sequence: BigInt(sequence) };
}
