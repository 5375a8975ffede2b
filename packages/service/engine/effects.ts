import type { Envelope } from "../../api/envelope.ts";
import { gather } from "../../database/gather.ts";
import { finish, type JobRow, leaseEffects } from "../../database/jobs.ts";
import { type Context, contextOf, withContext } from "../../telemetry/context.ts";
import { span } from "../../telemetry/trace.ts";
import { createDeadlines } from "../../time/deadlines.ts";
import { sleep } from "../../time/wait.ts";
import type { App } from "../app.ts";
import { outcomeUnknown } from "../errors.ts";
import type { Place } from "../places.ts";
import type { DoesOutside } from "../service.ts";
import { giveBack, judge, refuseEndless, tellStale } from "./failures.ts";
import { decodeMessage, measureDelay, within } from "./handle.ts";
import { createLeases, LEASE_MS } from "./lease.ts";
import { type Handling, handling } from "./message-spans.ts";

const SETTLED_AT_ONCE_MAX = 64;
/** An effect that was asked to end, and has not by then, is given up: nothing is known of it. */
const ENDS_MS = 5_000;
/** At the end of the process what is under way may come to its end, */
const CLOSES_MS = 10_000;

/** Performs what is due of one effect. */
export interface Performer {
  /** Begins as many as there is room for; false when none was due. */
  turn(): Promise<boolean>;
  underWay(): number;
  /** Resolves when nothing is under way any more. */
  close(): Promise<void>;
}

export function createPerformer(app: App, place: Place, work: DoesOutside): Performer {
  const underWay = new Map<string, { running: Promise<void>; ending: Ending }>();
  let closing = false;
  const leases = createLeases(app, place);
  const deadlines = createDeadlines(work.limitMs);
  const settle = gather<Effected, boolean>((effected) => settleAll(app, place, work, effected), {
    itemsMax: SETTLED_AT_ONCE_MAX,
    atOnce: 1,
  });

  function begin(row: JobRow) {
    const ending = createEnding();
    const limited = deadlines.begin((ms) => ending.end(outcomeUnknown(`no answer within ${ms} ms`)));
    const kept = leases.hold(row, ending.end);
    if (closing) ending.end();
    const running = performOne(app, place, work, row, { ending, settle })
      // The database is away: the lease runs out, and the job is there when it is back.
      .catch((error: unknown) => app.log.in(contextOf(row)).error("effect.unrecorded", error, { type: row.type }))
      .finally(() => {
        kept();
        limited();
        ending.over();
        underWay.delete(row.id);
      });
    underWay.set(row.id, { running, ending });
  }

  const ends = () => Array.from(underWay.values(), ({ running }) => running);

  return {
    async turn() {
      // In halves, so that those that end one by one are not followed one by one.
      while (underWay.size > work.atOnce / 2) await Promise.race(ends());
      const lease = { now: app.clock.now(), until: app.clock.soon(LEASE_MS) };
      // Whatever became of its lease, a job is not begun here while it is under way here.
      const rows = await leaseEffects(place.sql, work.job.type, lease, work.atOnce - underWay.size, [
        ...underWay.keys(),
      ]);
      for (const row of rows) begin(row);
      return rows.length > 0;
    },
    underWay: () => underWay.size,
    async close() {
      const ended = new AbortController();
      void sleep(CLOSES_MS, ended.signal).then(() => {
        closing = true;
        for (const { ending } of underWay.values()) ending.end();
      });
      await Promise.all(ends());
      ended.abort();
    },
  };
}

/** An effect that has happened and is to be settled. */
interface Effected {
  row: JobRow;
  message: Envelope<unknown>;
  result: unknown;
  context: Context;
}

interface Performing {
  ending: Ending;
  settle: (effected: Effected) => Promise<boolean>;
}

async function performOne(app: App, place: Place, work: DoesOutside, row: JobRow, { ending, settle }: Performing) {
  let message: Envelope<unknown> | undefined;
  let taken: Handling | undefined;
  try {
    const decoded = decodeMessage(work.job.schema, row);
    message = decoded;
    refuseEndless(row);
    const handled = handling(app.service, decoded, row);
    const { context } = handled;
    taken = handled;
    await withContext(context, async () => {
      const result = await span(app.service, `effect ${row.type}`, { kind: "client" }, () =>
        Promise.race([work.perform(app, decoded, { number: row.attempts, signal: ending.signal }), ending.unheeded]),
      );
      if (!(await settle({ row, message: decoded, result, context }))) return tellStale(app, row);
      app.log.info("effect.done", { type: row.type, key: row.key, attempts: row.attempts });
      app.metrics.messages.inc({ service: app.service, type: row.type, outcome: "done" });
      // It is due when it is asked for; what the row says now is when its lease ends.
      measureDelay(app, { ...handled, message: decoded, since: row.time });
    });
    handled.opened?.end();
  } catch (error) {
    taken?.opened?.end(error);
    const verdict = judge(app, work.retry, error, row.attempts, row);
    // What cannot be decoded says nothing that could be noted.
    const noted = message;
    const context = taken?.context ?? contextOf(row);
    await giveBack(app, place, { row, context, error }, verdict, {
      retrying: (tx, failing) => noted && work.retrying?.(app, within(tx, noted, context), failing),
      fail: (tx, text) => noted && work.fail?.(app, within(tx, noted, context), text),
    });
  }
}

/** How an effect is ended before it ends by itself: by its limit, with its lease, with the process. */
interface Ending {
  signal: AbortSignal;
  /** Rejects when it was asked to end and does not. */
  unheeded: Promise<never>;
  end(why?: unknown): void;
  /** It has ended. */
  over(): void;
}

/** One signal, told by whoever has a reason: putting one together from several costs more than all else that is done for an effect. */
function createEnding(): Ending {
  const controller = new AbortController();
  const { promise: unheeded, reject } = Promise.withResolvers<never>();
  let asked: AbortController | undefined;
  return {
    signal: controller.signal,
    unheeded,
    end(why) {
      controller.abort(why);
      if (asked) return;
      asked = new AbortController();
      const unheard = () => reject(outcomeUnknown("it did not end when it was asked to"));
      void sleep(ENDS_MS, asked.signal).then(unheard);
    },
    over: () => asked?.abort(),
  };
}

/** Forgets effects and records their results in one transaction. Says of each whether it was still ours. */
async function settleAll(app: App, place: Place, work: DoesOutside, effected: Effected[]): Promise<boolean[]> {
  return place.transact(async (tx) => {
    const finished = await finish(
      tx.sql,
      effected.map(({ row }) => row),
    );
    const ours = effected.filter(({ row }) => finished.has(row.id));
    const performed = ours.map(({ message, result, context }) => ({ message: within(tx, message, context), result }));
    if (performed.length > 0) await work.settle(app, tx, performed);
    return effected.map(({ row }) => finished.has(row.id));
  });
}
