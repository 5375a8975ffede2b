import { fromBinary, toJsonString } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import * as facts from "../api/facts.ts";
import { OpsService } from "../api/gen/bodega/ops/v1/ops_pb.ts";
import * as jobs from "../api/jobs.ts";
import type { Fact, Job } from "../api/messages.ts";
import { discardParked, listParked, type ParkedRow, replayParked } from "../database/parked.ts";
import type { App } from "./app.ts";
import { readBacklog } from "./backlog.ts";
import { invalidField } from "./errors.ts";
import { answers } from "./service.ts";
import { VERSION } from "./version.ts";

const PAGE_SIZE = 50;

/** OpsService of one service; the gateway asks each and puts the answers together. */
export function opsHandlers(service: string, startedAt: Date) {
  return answers(OpsService, {
    async listParked(app, _caller, { pageSize, pageToken }) {
      const size = pageSize || PAGE_SIZE;
      const rows = await listParked(app.sql, pageToken ? positionOf(pageToken) : null, size + 1);
      const page = rows.slice(0, size);
      return {
        parked: page.map((row) => parkedMessage(service, row)),
        nextPageToken: rows.length > size ? String(page.at(-1)?.sequence) : "",
      };
    },
    async replayParked(app, caller, { parkedIds }) {
      const replayed = await replayParked(app.sql, parkedIds, app.clock.now());
      app.log.info("parked.replayed", { count: replayed, actor: caller.userId });
      return { replayed };
    },
    async discardParked(app, caller, { parkedIds, reason }) {
      const discarded = await discardParked(app.sql, parkedIds, caller.userId, reason, app.clock.now());
      app.log.info("parked.discarded", { count: discarded, actor: caller.userId, reason });
      return { discarded };
    },
    async getBacklog(app) {
      const { outbox, outboxOldest, due, dueOldest, scheduled, parked } = await readBacklog(app);
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
        services: [{ service, version: VERSION, instance: `${process.pid}`, startedAt: timestampFromDate(startedAt) }],
      };
    },
  });
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

const messages = new Map<string, Fact | Job>(
  [...Object.values(facts), ...Object.values(jobs)].map((each) => [each.type, each]),
);

function parkedMessage(service: string, row: ParkedRow) {
  return {
    parkedId: row.parked_id,
    service,
    type: row.type,
    key: row.key,
    error: row.error,
    attempts: row.attempts,
    traceId: row.traceparent.split("-")[1] ?? "",
    requestId: row.request_id,
    parkedAt: timestampFromDate(row.parked_at),
    body: bodyText(row),
  };
}

function bodyText({ type, body }: ParkedRow): string {
  const message = messages.get(type);
  if (!message) return "";
  try {
    return toJsonString(message.schema, fromBinary(message.schema, body));
  } catch {
    return ""; // Undecodable is why it is parked; the error column says so.
  }
}
