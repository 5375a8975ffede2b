import type { DescMessage, Message } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { isOutage } from "../database/database.ts";
import { claimDue, claimOne, claimOutgoing, type JobRow, nextDue, nextEffect, nextOutgoing } from "../database/jobs.ts";
import { type Bell, createBell } from "../database/relay.ts";
import type { Row } from "../database/story.ts";
import type { Jobs } from "../jobs/jobs.ts";
import { inContextOf } from "../telemetry/context.ts";
import { span } from "../telemetry/trace.ts";
import type { App, Tx } from "./app.ts";
import { type Clock, sleep } from "./clock.ts";
import { createPerformer } from "./effects.ts";
import { decode, failureOf, giveBack, RETRY_MS_MIN } from "./retry.ts";
import type { Does, Hears } from "./service.ts";

const CLAIM_ROWS_MIN = 16;
const CLAIM_ROWS_MAX = 1_000;
/** A crash undoes the turn it interrupts: turns are kept short, or a process that is killed often would never get on. */
const TURN_MS_WANTED = 500;
const OUTGOING_ROWS_MAX = 500;
/** Looks for jobs that other processes enqueued, and for those that fell due while nobody slept on them. */
const POLL_MS = 1_000;
/** Before looking again whether somebody else has done what is due. */
const TAKEN_MS = 20;
/** The clock is asked how far it gets in this time. */
const SCALE_MS = 1_000;
/** A service that could not be sent to is not tried for so long. */
const REST_MS = 2_000;
/** Between tries while the database is away. */
const OUTAGE_MS_MAX = 2_000;

export interface Worker {
  /** Something came in: look now. */
  wake(): void;
  /** These rows of `jobs` were committed: whoever does them looks when they are due. */
  enqueued(rows: Row[]): void;
  /** Effects under way. */
  busy(): number;
  close(): Promise<void>;
}

/** Does what is due in `jobs`: the service's own jobs, facts that failed before, effects; and sends on what belongs to others. */
export function startWorker(app: App, works: Does[], hears: Hears[], jobs: Jobs): Worker {
  const handlers = new Map<string, Handler>();
  for (const { fact, handle } of hears) handlers.set(fact.type, { schema: fact.schema, handle });
  for (const work of works)
    if ("handle" in work) handlers.set(work.job.type, { schema: work.job.schema, handle: work.handle });
  const effects = works.filter((work) => "perform" in work);
  const effectTypes = effects.map(({ job }) => job.type);

  let performing = 0;
  const count = (change: number) => {
    performing += change;
  };

  const doing = loop(app, createDoer(app, handlers, effectTypes), () => nextDue(app.sql, effectTypes));
  const { sendOn, resting } = createSender(app, jobs);
  const sending = loop(app, sendOn, () => nextOutgoing(app.sql, [...resting]));
  const performers = new Map(
    effects.map((work) => {
      const { type } = work.job;
      return [type, loop(app, createPerformer(app, work, count), () => nextEffect(app.sql, type))];
    }),
  );
  const loops = [doing, sending, ...performers.values()];
  return {
    wake: () => {
      for (const { bell } of loops) bell.ring();
    },
    enqueued(rows) {
      for (const { target, type, due_at } of rows) {
        const worker = target === null ? (performers.get(String(type)) ?? doing) : sending;
        if (!(due_at instanceof Date)) continue;
        worker.expect(due_at.getTime());
        // Should this process be gone by then, another of the service is woken.
        jobs.wakeLater(app.service, realMsUntil(app.clock, due_at));
      }
    },
    busy: () => performing,
    async close() {
      for (const { bell } of loops) bell.close();
      await Promise.all(loops.map(({ running }) => running));
    },
  };
}

interface Handler {
  schema: DescMessage;
  handle: (app: App, tx: Tx, bodies: Message[]) => Promise<void>;
}

interface Loop {
  bell: Bell;
  running: Promise<void>;
  /** Something was enqueued for `at`, in milliseconds. */
  expect(at: number): void;
}

/** Repeats `turn` while it finds work, then sleeps until the next job is due, somebody rings, or the poll interval is over. */
function loop(app: App, turn: () => Promise<boolean>, next: () => Promise<Date | null>): Loop {
  const bell = createBell();
  /** The earliest that was enqueued since the last turn began, which that turn may have missed. */
  let expected = Number.POSITIVE_INFINITY;
  /** Awake, nobody needs to be woken. */
  let asleepUntil = Number.NEGATIVE_INFINITY;

  async function run() {
    for (let failures = 0; !bell.closed(); ) {
      expected = Number.POSITIVE_INFINITY;
      try {
        const more = await turn();
        failures = 0;
        if (!more) await sleepUntilDue();
      } catch (error) {
        failures += 1;
        if (!bell.closed()) app.log.error("worker.failed", error, { failures });
        await bell.rung(Math.min(RETRY_MS_MIN * 2 ** failures, OUTAGE_MS_MAX));
      }
    }
  }

  /** Nearly every look finds nothing: it is one statement, not a turn. */
  async function sleepUntilDue() {
    for (let rung = false; !rung; ) {
      const due = (await next())?.getTime() ?? Number.POSITIVE_INFINITY;
      const now = app.clock.now().getTime();
      if (expected <= now) return;
      // This turn did not get it, so another worker has it.
      if (due <= now) return void (await bell.rung(TAKEN_MS));
      asleepUntil = Math.min(due, expected);
      rung = await rungBefore(asleepUntil);
      asleepUntil = Number.NEGATIVE_INFINITY;
    }
  }

  /** False when it is time to look again. */
  async function rungBefore(due: number): Promise<boolean> {
    const over = new AbortController();
    // Ends at `over` too: a ring then would be for the next sleep, and that one for the next.
    const wake = () => over.signal.aborted || bell.ring();
    if (Number.isFinite(due)) void app.clock.until(new Date(due), over.signal).then(wake);
    const rung = await bell.rung(POLL_MS);
    over.abort();
    return rung;
  }

  return {
    bell,
    running: run(),
    expect(at) {
      expected = Math.min(expected, at);
      if (at < asleepUntil) bell.ring();
    },
  };
}

/** Claims few rows at first, more while turns are quick, and fewer after a slow one. */
function createDoer(app: App, handlers: Map<string, Handler>, effectTypes: string[]): () => Promise<boolean> {
  let rowsMax = CLAIM_ROWS_MIN;
  return async () => {
    const slowFrom = app.clock.soon(TURN_MS_WANTED);
    const done = await doDue(app, handlers, effectTypes, rowsMax);
    if (app.clock.now() >= slowFrom) rowsMax = Math.max(CLAIM_ROWS_MIN, Math.floor(rowsMax / 2));
    else if (done === rowsMax) rowsMax = Math.min(CLAIM_ROWS_MAX, rowsMax * 2);
    return done > 0;
  };
}

async function doDue(
  app: App,
  handlers: Map<string, Handler>,
  effectTypes: string[],
  rowsMax: number,
): Promise<number> {
  let claimed: JobRow[] = [];
  try {
    await app.transact(async (tx) => {
      claimed = await claimDue(tx.sql, app.clock.now(), effectTypes, rowsMax);
      for (const run of runs(claimed)) await handleRun(app, tx, handlers, run);
    });
  } catch (error) {
    if (isOutage(error) || claimed.length === 0) throw error;
    for (const row of claimed) await doOne(app, handlers, row);
  }
  return claimed.length;
}

async function doOne(app: App, handlers: Map<string, Handler>, row: JobRow) {
  try {
    await app.transact(async (tx) => {
      if (await claimOne(tx.sql, row)) await handleRun(app, tx, handlers, [row]);
    });
  } catch (error) {
    if (isOutage(error)) throw error;
    await giveBack(app, row, failureOf(error, row.attempts + 1), error);
  }
}

async function handleRun(app: App, tx: Tx, handlers: Map<string, Handler>, rows: JobRow[]) {
  const [first] = rows;
  if (!first) return;
  const handler = handlers.get(first.type);
  if (!handler) throw new ConnectError(`${app.service} has no handler for ${first.type}`, Code.InvalidArgument);
  const bodies = rows.map((row) => decode(handler.schema, row));
  await span(`${first.kind} ${first.type}`, { "messaging.batch.message_count": rows.length }, () =>
    handler.handle(app, tx, bodies),
  );
  rows.forEach((row, index) => {
    inContextOf(bodies[index] ?? row, () => app.log.info(`${row.kind}.done`, { type: row.type, key: row.key }));
  });
  app.metrics.messages.inc({ service: app.service, type: first.type, outcome: "done" }, rows.length);
}

/** Sends on what belongs to others. A service whose queue takes nothing is left alone for a while, so that it does not keep the others waiting. */
function createSender(app: App, jobs: Jobs) {
  const resting = new Set<string>();

  async function sendGroup(target: string, rows: JobRow[]) {
    const messages = rows.map(({ job_id, type, key, body, traceparent, request_id }) => ({
      id: job_id,
      type,
      key,
      body,
      traceparent,
      requestId: request_id,
    }));
    try {
      await jobs.send(target, messages);
    } catch (error) {
      resting.add(target);
      void sleep(REST_MS).then(() => resting.delete(target));
      throw error;
    }
  }

  /** One that fails undoes the turn: what the others were sent, they are sent again, and know it. */
  async function sendOn(): Promise<boolean> {
    return app.transact(async (tx) => {
      const rows = await claimOutgoing(tx.sql, app.clock.now(), [...resting], OUTGOING_ROWS_MAX);
      for (const [target, group] of Map.groupBy(rows, (row) => row.target ?? "")) await sendGroup(target, group);
      return rows.length > 0;
    });
  }

  return { sendOn, resting };
}

/** Brokers know nothing of business time and its scale. */
function realMsUntil(clock: Clock, at: Date): number {
  const now = clock.now().getTime();
  const scale = (clock.soon(SCALE_MS).getTime() - now) / SCALE_MS;
  return (at.getTime() - now) / scale;
}

function runs(rows: JobRow[]): JobRow[][] {
  // Jobs of one type are handled as a set; facts keep their order among themselves, which claiming only the oldest of a key already gives.
  return [...Map.groupBy(rows, (row) => row.type).values()];
}
