import { isOutage, isTooSlow } from "../../database/database.ts";
import {
  claimDue,
  claimOne,
  finish,
  type JobRow,
  type Known,
  leaseOldest,
  nextDue,
  nextEffect,
  nextOutgoing,
} from "../../database/jobs.ts";
import type { Row } from "../../database/table.ts";
import type { Jobs } from "../../jobs/jobs.ts";
import type { Clock } from "../../time/clock.ts";
import type { App, Tx } from "../app.ts";
import type { Place } from "../places.ts";
import { STANDARD } from "../retry-policies.ts";
import type { Does } from "../service.ts";
import { createPerformer } from "./effects.ts";
import { giveBack, judge, refuseEndless, tellStale } from "./failures.ts";
import { contextOfFailed, handle, handlerFor, type MessageHandlers } from "./handle.ts";
import { loop } from "./loop.ts";
import { createSender } from "./sender.ts";

const CLAIM_ROWS_MIN = 16;
const CLAIM_ROWS_MAX = 1_000;
/** So many are begun together: when one of them ends the process, all of them are suspects. */
const CAREFUL_ROWS_MAX = 16;
/** A crash undoes the turn it interrupts: turns are kept short, or a process that is killed often would never get on. */
const TURN_MS_WANTED = 500;
/** How long a job that is done carefully is kept from others between its claim and its transaction, which keeps them away by itself. */
const CAREFUL_LEASE_MS = 2_000;
/** Over so much real time the clock's scale is measured. */
const SCALE_MS = 1_000;

export interface Worker {
  /** Something came in: look now. */
  wake(): void;
  /** These rows of `jobs` were committed: whoever does them looks when they are due. */
  enqueued(rows: Row[]): void;
  /** Effects under way, and jobs on their way to others. */
  busy(): number;
  close(): Promise<void>;
}

/**
 * Does what is due in `jobs`: the service's own jobs, facts that failed before, effects; and sends on what belongs to others. While `careful` says so,
 * what is not an effect is done one by one, and counted before it is begun. Each place has its own jobs, and somebody who does them.
 */
export function startWorker(
  app: App,
  works: Does[],
  handlers: MessageHandlers,
  jobs: Jobs,
  known: () => Known,
  careful: () => boolean = () => false,
): Worker {
  const workers = app.everywhere().map((place) => startAt({ app, place, handlers, known }, works, jobs, careful));
  return {
    wake() {
      for (const worker of workers) worker.wake();
    },
    enqueued(rows) {
      for (const { target, type, due_at } of rows) {
        if (!(due_at instanceof Date)) continue;
        // Every place's worker is told; one that has none of these rows only looks in vain.
        for (const worker of workers) worker.expect(target === null ? String(type) : null, due_at.getTime());
        // The broker wakes any process of the service, should this one be gone by then.
        jobs.wakeLater(app.service, realMsUntil(app.clock, due_at));
      }
    },
    busy: () => workers.reduce((sum, worker) => sum + worker.busy(), 0),
    async close() {
      await Promise.all(workers.map((worker) => worker.close()));
    },
  };
}

/** Where jobs are done, and by whom. */
interface Work {
  app: App;
  place: Place;
  handlers: MessageHandlers;
  known: () => Known;
}

function startAt(work: Work, works: Does[], jobs: Jobs, careful: () => boolean) {
  const { app, place, known } = work;
  const effects = works.filter((each) => "perform" in each);
  const doer = createDoer(work);
  const doing = loop(
    app,
    () => (careful() ? doCarefully(work) : doer()),
    () => nextDue(place.sql, known()),
  );
  const sender = createSender(app, place, jobs);
  const sending = loop(app, sender.turn, () => nextOutgoing(place.sql, [...sender.resting]));
  const performers = effects.map((each) => ({ type: each.job.type, performer: createPerformer(app, place, each) }));
  const performing = new Map(
    performers.map(({ type, performer }) => [type, loop(app, performer.turn, () => nextEffect(place.sql, type))]),
  );
  const loops = [doing, sending, ...performing.values()];
  return {
    wake() {
      for (const { bell } of loops) bell.ring();
    },
    /** A job of this type, or for another service, was enqueued for `at`, in milliseconds. */
    expect(type: string | null, at: number) {
      const one = type === null ? sending : (performing.get(type) ?? doing);
      one.expect(at);
    },
    busy: () => performers.reduce((sum, { performer }) => sum + performer.underWay(), sender.underWay()),
    async close() {
      for (const { bell } of loops) bell.close();
      await Promise.all([
        ...loops.map(({ running }) => running),
        ...performers.map(({ performer }) => performer.close()),
      ]);
    },
  };
}

/** Claims few rows at first, more while turns are quick, and fewer after a slow one. */
function createDoer(work: Work): () => Promise<boolean> {
  const { clock } = work.app;
  let rowsMax = CLAIM_ROWS_MIN;
  return async () => {
    const slowFrom = clock.soon(TURN_MS_WANTED);
    const done = await doDue(work, rowsMax).catch((error: unknown) => {
      if (!isTooSlow(error) || rowsMax === CLAIM_ROWS_MIN) throw error;
      return undefined;
    });
    if (done === undefined || clock.now() >= slowFrom) rowsMax = Math.max(CLAIM_ROWS_MIN, Math.floor(rowsMax / 2));
    else if (done === rowsMax) rowsMax = Math.min(CLAIM_ROWS_MAX, rowsMax * 2);
    return done !== 0;
  };
}

async function doDue(work: Work, rowsMax: number): Promise<number> {
  let claimed: JobRow[] = [];
  try {
    await work.place.transact(async (tx) => {
      claimed = await claimDue(tx.sql, work.app.clock.now(), work.known(), rowsMax);
      for (const set of sets(claimed)) await handleSet(work, tx, set);
    });
  } catch (error) {
    // Many that are too slow together are claimed again in smaller sets; few are done one by one, so that the slow one is found.
    if (isOutage(error) || claimed.length === 0 || (isTooSlow(error) && claimed.length > CLAIM_ROWS_MIN)) throw error;
    throwFirst(await eachAlone(claimed, (row) => doOne(work, row)));
  }
  return claimed.length;
}

/** One after the other. One that can be neither done nor given back stays, and keeps nobody behind it waiting: gives what was wrong with those. */
async function eachAlone(rows: JobRow[], one: (row: JobRow) => Promise<void>): Promise<unknown[]> {
  const troubles: unknown[] = [];
  for (const row of rows)
    await one(row).catch((error: unknown) => {
      if (isOutage(error)) throw error;
      troubles.push(error);
    });
  return troubles;
}

/** The turn has failed, so that the next one does not come at once. */
function throwFirst(troubles: unknown[]) {
  if (troubles.length > 0) throw troubles[0];
}

async function doOne(work: Work, row: JobRow) {
  try {
    await work.place.transact(async (tx) => {
      if (await claimOne(tx.sql, row)) await handleSet(work, tx, [row]);
    });
  } catch (error) {
    if (isOutage(error)) throw error;
    await failed(work, row, error);
  }
}

/**
 * Jobs that are counted before they are begun, so that one that ends the process ends it a few times only. New ones are begun together; those that were under way
 * when a process ended are suspects, and each is begun alone.
 */
async function doCarefully(work: Work): Promise<boolean> {
  const { clock } = work.app;
  const { sql } = work.place;
  const known = work.known();
  const lease = () => ({ now: clock.now(), until: clock.soon(CAREFUL_LEASE_MS) });
  const suspects = await leaseOldest(sql, lease(), known, "suspect", 1);
  const troubles = await eachAlone(suspects, (row) => doLeased(work, row));
  const rows = await leaseOldest(sql, lease(), known, "new", CAREFUL_ROWS_MAX);
  try {
    if (rows.length > 0) await doLeasedTogether(work, rows);
  } catch (error) {
    if (isOutage(error)) throw error;
    troubles.push(...(await eachAlone(rows, (row) => doLeased(work, row))));
  }
  throwFirst(troubles);
  return suspects.length + rows.length > 0;
}

async function doLeasedTogether(work: Work, rows: JobRow[]): Promise<void> {
  await work.place.transact(async (tx) => {
    const ours = await finish(tx.sql, rows);
    for (const row of rows) if (!ours.has(row.id)) tellStale(work.app, row);
    for (const set of sets(rows.filter(({ id }) => ours.has(id)))) await handleSet(work, tx, set);
  });
}

async function doLeased(work: Work, row: JobRow): Promise<void> {
  try {
    refuseEndless(row);
    await doLeasedTogether(work, [row]);
  } catch (error) {
    if (isOutage(error)) throw error;
    await failed(work, row, error);
  }
}

/** By the handler's retry policy; a job that nobody handles fails by the standard one. */
async function failed({ app, place, handlers }: Work, row: JobRow, error: unknown): Promise<void> {
  const { retry = STANDARD, schema } = handlers(row.kind, row.type) ?? {};
  const context = contextOfFailed(schema, row);
  await giveBack(app, place, { row, context, error }, judge(app, retry, error, row.attempts + 1, row));
}

async function handleSet({ app, handlers }: Work, tx: Tx, rows: JobRow[]) {
  const [first] = rows;
  if (first) await handle(app, tx, handlerFor(app, handlers, first.kind, first.type), first.kind, rows);
}

/** Brokers know nothing of business time and its scale. */
function realMsUntil(clock: Clock, at: Date): number {
  const now = clock.now().getTime();
  const scale = (clock.soon(SCALE_MS).getTime() - now) / SCALE_MS;
  return (at.getTime() - now) / scale;
}

/** Jobs of one type are handled as a set; facts keep their order among themselves, which claiming only the oldest of a key already gives. */
function sets(rows: JobRow[]): JobRow[][] {
  return [...Map.groupBy(rows, (row) => `${row.kind} ${row.type}`).values()];
}
