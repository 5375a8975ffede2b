import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { bodyText } from "../../api/body-text.ts";
import { OpsService } from "../../api/gen/bodega/ops/v1/ops_pb.ts";
import {
  discardParked,
  listParked,
  lockParked,
  lockToReplay,
  type ParkedRow,
  replayParked,
} from "../../database/parked.ts";
import type { App, Tx } from "../app.ts";
import { audit } from "../audit.ts";
import { invalidField } from "../errors.ts";
import { INSTANCE } from "../instance.ts";
import { answers } from "../service.ts";
import { VERSION } from "../version.ts";
import { backlogOf } from "./backlog.ts";

const PAGE_SIZE = 50;

/** OpsService of one service; the gateway asks each and puts the answers together. */
export function opsHandlers(service: string, startedAt: Date) {
  return answers(OpsService, {
    async listParked(app, _caller, { pageSize, pageToken }) {
      const size = pageSize || PAGE_SIZE;
      const after = pageToken ? positionOf(pageToken) : null;
      const lists = await Promise.all(app.everywhere().map(({ sql }) => listParked(sql, after, size + 1)));
      const rows = lists.flat().toSorted((a, b) => Number(a.sequence - b.sequence));
      // Each place numbers its rows from 1: rows of other places with the same number as the page's last are on the page too.
      const last = rows[size - 1]?.sequence;
      const page = last === undefined ? rows : rows.filter(({ sequence }) => sequence <= last);
      return {
        parked: page.map((row) => parkedMessage(service, row)),
        nextPageToken: rows.length > page.length ? String(page.at(-1)?.sequence) : "",
      };
    },
    async replayParked(app, caller, { parkedIds }) {
      const replayed = await sumOf(app, async (tx) => {
        await lockToReplay(tx.sql, parkedIds);
        const ids = await replayParked(tx.sql, parkedIds, app.clock.now());
        for (const subject of ids) audit(app, tx, caller, { subject });
        return ids.length;
      });
      app.log.info("parked.replayed", { count: replayed, actor: caller.userId });
      return { replayed };
    },
    async discardParked(app, caller, { parkedIds, reason }) {
      const discarded = await sumOf(app, async (tx) => {
        for (const subject of await lockParked(tx.sql, parkedIds)) audit(app, tx, caller, { subject, reason });
        return discardParked(tx.sql, parkedIds, caller.userId, reason, app.clock.now());
      });
      app.log.info("parked.discarded", { count: discarded, actor: caller.userId, reason });
      return { discarded };
    },
    async getBacklog(app) {
      const { outbox, outboxOldest, due, dueOldest, scheduled, parked } = await backlogOf(app);
      return {
        backlogs: [
          {
            service,
            outbox,
            ...age(app, "outboxOldest", outboxOldest),
            jobsDue: due,
            ...age(app, "jobsOldest", dueOldest),
            jobsScheduled: scheduled,
            parked,
          },
        ],
      };
    },
    async getInfo() {
      return {
        services: [{ service, version: VERSION, instance: INSTANCE, startedAt: timestampFromDate(startedAt) }],
      };
    },
  });
}

/** What a story counts at each place. An id is parked at one. */
async function sumOf(app: App, story: (tx: Tx) => Promise<number>): Promise<number> {
  let sum = 0;
  for (const place of app.everywhere()) sum += await place.transact(story);
  return sum;
}

function age(app: App, field: "outboxOldest" | "jobsOldest", since: Date | null) {
  if (!since) return {};
  const ms = Math.max(0, app.clock.now().getTime() - since.getTime());
  return { [field]: { seconds: BigInt(Math.floor(ms / 1_000)), nanos: (ms % 1_000) * 1e6 } };
}

function positionOf(token: string): bigint {
  if (!/^\d{1,18}$/.test(token)) throw invalidField("page_token", "is not a token this list gave");
  return BigInt(token);
}

function parkedMessage(service: string, row: ParkedRow) {
  return {
    parkedId: row.id,
    service,
    type: row.type,
    key: row.key,
    error: row.error,
    attempts: row.attempts,
    traceId: row.traceparent.split("-")[1] ?? "",
    requestId: row.correlationId,
    parkedAt: timestampFromDate(row.parked_at),
    body: bodyText(row.type, row.body),
  };
}
