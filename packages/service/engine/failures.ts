import { Code, ConnectError } from "@connectrpc/connect";
import { type JobRow, type Retry, retryLater } from "../../database/jobs.ts";
import { parkFollowers, parkJob } from "../../database/parked.ts";
import { storable } from "../../database/storable.ts";
import { type Context, contextOf } from "../../telemetry/context.ts";
import { backoffMs } from "../../time/backoff.ts";
import type { App, Tx } from "../app.ts";
import { retryAfterMs } from "../errors.ts";
import type { Place } from "../places.ts";
import type { Policy } from "../retry-policies.ts";
import type { Failing } from "../service.ts";
import { classifyError } from "./classify-error.ts";
import { noteFailure } from "./message-spans.ts";

const ERROR_CHARS_MAX = 1_000;
/** However its failures take turns, a message ends. */
const ATTEMPTS_MAX = 30_000;
/** So often a message may be begun without an end: then it is what ends the process. */
const UNANSWERED_MAX = 4;

/** How a message failed before. */
type Before = Pick<JobRow, "trouble" | "tries" | "give_up_at">;
const NEVER: Before = { trouble: null, tries: 0, give_up_at: null };

/** What follows from a failure: another try, or none. */
export type Verdict = ({ parked: false } & Retry) | { parked: true; attempts: number; error: string };

export function judge(
  app: Pick<App, "clock" | "random">,
  policy: Policy,
  error: unknown,
  attempts: number,
  before = NEVER,
): Verdict {
  const text = storable(error instanceof Error ? error.message : String(error), ERROR_CHARS_MAX);
  const trouble = classifyError(error);
  if (trouble === "never" || attempts >= ATTEMPTS_MAX) return { parked: true, attempts, error: text };
  const { pace, until } = policy[trouble];
  const same = before.trouble === trouble && before.give_up_at !== null;
  const tries = same ? before.tries + 1 : 1;
  const give_up_at = same && before.give_up_at ? before.give_up_at : app.clock.soon("ms" in until ? until.ms : 0);
  const over = "ms" in until ? app.clock.now() >= give_up_at : tries >= until.tries;
  if (over) return { parked: true, attempts, error: text };
  const asked = error instanceof ConnectError ? (retryAfterMs(error) ?? 0) : 0;
  const due_at = app.clock.soon(Math.max(backoffMs(tries, pace, app.random.fraction()), asked));
  return { parked: false, attempts, error: text, trouble, tries, give_up_at, due_at };
}

/** Throws when this is one begin too many. */
export function refuseEndless({ unanswered }: JobRow) {
  const before = unanswered - 1;
  if (before >= UNANSWERED_MAX)
    throw new ConnectError(
      `begun ${before} times, and each time the process ended before it did`,
      Code.InvalidArgument,
    );
}

/** A job that failed, with what is known of what it is about. */
export interface Failed {
  row: JobRow;
  context: Context;
  error: unknown;
}

/** What a service notes about a job that failed, in the transaction that gives it back or up. */
export interface Notes {
  retrying?(tx: Tx, failing: Failing): Promise<void> | void;
  fail?(tx: Tx, error: string): Promise<void> | void;
}

/**
 * Puts a failed job back for a later try, or parks it; nothing at all when it is not ours any more. A note that cannot be written is left out: the job must not
 * come again and again because of it.
 */
export async function giveBack(
  app: App,
  place: Place,
  { row, context, error }: Failed,
  verdict: Verdict,
  notes: Notes = {},
) {
  const written = await tryGiveBack(app, place, row, verdict, notes).catch(async (reason: unknown) => {
    if (classifyError(reason) === "away") throw reason;
    app.log.in(context).error("message.unnoted", reason, { type: row.type, key: row.key });
    return tryGiveBack(app, place, row, verdict, {});
  });
  if (!written) return tellStale(app, row);
  const { parked, attempts } = verdict;
  const trouble = parked ? undefined : verdict.trouble;
  app.log
    .in(context)
    .error(parked ? "message.parked" : "message.retrying", error, { type: row.type, key: row.key, attempts, trouble });
  const outcome = parked ? "parked" : "retried";
  noteFailure(app.service, row, { context, outcome, error });
  app.metrics.messages.inc({ service: app.service, type: row.type, outcome });
}

function tryGiveBack(
  app: App,
  place: Place,
  row: JobRow,
  verdict: Verdict,
  { retrying, fail }: Notes,
): Promise<boolean> {
  return place.transact(async (tx) => {
    if (!verdict.parked) {
      const written = await retryLater(tx.sql, row, verdict);
      if (written) await retrying?.(tx, { error: verdict.error, attempts: verdict.attempts, nextAt: verdict.due_at });
      return written;
    }
    const now = app.clock.now();
    const written = await parkJob(tx.sql, row, verdict, now);
    if (written && row.kind === "fact") await parkFollowers(tx.sql, row.key, now);
    if (written) await fail?.(tx, verdict.error);
    return written;
  });
}

/** Whoever was slower than its lease has changed nothing; that it was is worth knowing. */
export function tellStale(app: App, row: JobRow) {
  app.log.in(contextOf(row)).warn("message.stale", { type: row.type, key: row.key, attempts: row.attempts });
  app.metrics.stale.inc({ service: app.service, type: row.type });
}
