import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import type { RebuildDayRequest } from "../../packages/api/gen/bodega/activity/v1/activity_pb.ts";
import {
  EventLogService,
  type ReadEventsResponse,
  type ReadEventsResponse_ReadEvent,
} from "../../packages/api/gen/bodega/eventlog/v1/eventlog_pb.ts";
import type { Sql } from "../../packages/database/database.ts";
import type { App } from "../../packages/service/app.ts";
import { audit } from "../../packages/service/audit.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { refused } from "../../packages/service/errors.ts";
import { bucketOf, uuidV7Floor } from "../../packages/time/ids.ts";
import { nextDate } from "../../packages/time/zone.ts";
import { COUNTS, readDay } from "./day.ts";
import * as store from "./store.ts";
import { type Taken, weigh } from "./tally.ts";
import { requireDate, startOf, zoneOf } from "./zone.ts";

/** Facts that were counted and not staged yet: as many as may come while a day is read. */
const UNSTAGED_MAX = 20_000;
const IDS_MAX = 1_000;
/** What came as lately as this may have any id. */
const LATELY_MS = 60_000;
/** Nobody counts meanwhile: this is as long as one page may take then. */
const LOCKED_PAGE_MS = 2_000;
const PAGE_MS = 20_000;
const RETRY_MS = 2_000;

interface Rebuild {
  id: string;
  start: Date;
  end: Date;
}

/**
 * Counts a day anew. What the journal has is staged page by page; then, for a moment in which nothing is counted, its sums take the place of the rows.
 * By then the journal must have all that was counted, else nothing is touched and it is to be asked again; what it has and was not counted yet is remembered
 * as counted.
 */
export async function rebuildDay(app: App, caller: Caller, { date, timeZone, reason }: RebuildDayRequest) {
  const zone = zoneOf(timeZone);
  const [start, end] = [startOf(zone, requireDate("date", date)), startOf(zone, nextDate(date))];
  const rebuild = { id: app.random.id(), start, end };
  try {
    await stageDay(app, rebuild);
    const rebuilt = await app.transact(async (tx) => {
      await store.lockCounting(tx.sql);
      await stageRest(app, tx.sql, rebuild);
      await store.dropUncounted(tx.sql, rebuild.id);
      await store.rememberStaged(tx.sql, rebuild.id, app.clock.now());
      tx.changed(COUNTS);
      audit(app, tx, caller, { subject: date, reason, detail: zone.name });
      return store.replaceRows(tx.sql, rebuild.id, [start, end]);
    });
    const { counts } = await readDay(app.sql, { zone, date, hourly: false });
    return { ...rebuilt, counts };
  } finally {
    await store.unstage(app.sql, rebuild.id);
  }
}

async function stageDay(app: App, rebuild: Rebuild) {
  const eventLog = app.call(EventLogService);
  const span = { from: timestampFromDate(rebuild.start), to: timestampFromDate(rebuild.end) };
  for (let pageToken = ""; ; ) {
    const page = await eventLog.readEvents({ ...span, pageToken }, { timeoutMs: PAGE_MS });
    refuseDropped(page, rebuild);
    await stage(app.sql, rebuild, page.events);
    pageToken = page.nextPageToken;
    if (!pageToken) return;
  }
}

/** What was counted since the day was read, or happened on another day than its id says. */
async function stageRest(app: App, sql: Sql, rebuild: Rebuild) {
  const { id, start, end } = rebuild;
  const span = {
    first: uuidV7Floor(start.getTime()),
    end: uuidV7Floor(end.getTime()),
    since: new Date(app.clock.now().getTime() - LATELY_MS),
  };
  const eventIds = await store.listUnstaged(sql, id, span, UNSTAGED_MAX);
  for (let from = 0; from < eventIds.length && eventIds.length < UNSTAGED_MAX; from += IDS_MAX) {
    const asked = eventIds.slice(from, from + IDS_MAX);
    const { events } = await app.call(EventLogService).readEvents({ eventIds: asked }, { timeoutMs: LOCKED_PAGE_MS });
    await stage(sql, rebuild, events);
  }
  const behind = await store.listUnstaged(sql, id, span, UNSTAGED_MAX);
  if (behind.length > 0)
    throw refused(
      Code.Aborted,
      "EVENT_LOG_BEHIND",
      `expected all facts of the day in the event log, found ${behind.length} or more that were counted and are not there yet: try again`,
      RETRY_MS,
    );
}

function refuseDropped({ completeFrom }: ReadEventsResponse, { start }: Rebuild) {
  if (!completeFrom || timestampDate(completeFrom) <= start) return;
  throw refused(
    Code.FailedPrecondition,
    "EVENTS_DROPPED",
    `expected a day since ${timestampDate(completeFrom).toISOString()}, found one of which the event log has dropped a part`,
  );
}

async function stage(sql: Sql, rebuild: Rebuild, events: ReadEventsResponse_ReadEvent[]) {
  await store.stage(
    sql,
    events.map((event) => stagedFact(rebuild, event)),
  );
}

function stagedFact(
  { id, start, end }: Rebuild,
  { eventId, subject, type, body, ...event }: ReadEventsResponse_ReadEvent,
) {
  const time = event.time ? timestampDate(event.time) : new Date(0);
  const row = { rebuild_id: id, event_id: eventId, bucket: bucketOf(subject), type };
  const weight = weighed({ type, time, body });
  // What cannot be read was parked, not counted: staged as lying outside it is no part of the sums, and not missing either.
  if (!weight) return { ...row, at: time, inside: false, ...NO_MONEY };
  return { ...row, at: weight.at, inside: time >= start && time < end, ...moneyOf(weight.taken) };
}

const NO_MONEY = { kind: null, reason: null, currency_code: null, minor_units: null };

function moneyOf(taken: Taken | undefined) {
  if (!taken) return NO_MONEY;
  const { quantity: _, ...money } = taken;
  return money;
}

function weighed(fact: Parameters<typeof weigh>[0]) {
  try {
    return weigh(fact);
  } catch (error) {
    if (error instanceof ConnectError && error.code === Code.InvalidArgument) return undefined;
    throw error;
  }
}
