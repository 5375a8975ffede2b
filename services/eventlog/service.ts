import { EventLogService } from "../../packages/api/gen/bodega/eventlog/v1/eventlog_pb.ts";
import { forever, until } from "../../packages/database/retention.ts";
import { answers, onAny, service } from "../../packages/service/service.ts";
import type { Environment } from "../../packages/service/variables.ts";
import { type EventLogConfig, readConfig } from "./config.ts";
import { listEvents } from "./list-events.ts";
import { readEvents } from "./read-events.ts";
import { recordEvents } from "./record-events.ts";
import { tailEvents } from "./tail-events.ts";
import { verifyChain } from "./verify-chain.ts";

/** The journal of every fact. */
export const eventlog = (env: Environment) =>
  service<EventLogConfig>({
    name: "eventlog",
    config: readConfig(env),
    migrations: new URL("./migrations/", import.meta.url),
    keeps: [
      until("events", "their month is older than EVENTLOG_KEEP_MONTHS", "the journal; where that is not set, for ever"),
      forever("head", "one row"),
      forever("checkpoints", "a signed place of the chain for a minute or a thousand events"),
      forever("seals", "a row for each month that was dropped"),
    ],
    answers: [answers(EventLogService, { listEvents, tailEvents, verifyChain, readEvents })],
    hears: [onAny(recordEvents)],
    does: [],
    made: ["EVENTLOG_SECRET"],
  });
