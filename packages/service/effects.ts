import type { Message } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { isOutage } from "../database/database.ts";
import { gather } from "../database/gather.ts";
import { finish, type JobRow, leaseEffects } from "../database/jobs.ts";
import { inContextOf } from "../telemetry/context.ts";
import { span } from "../telemetry/trace.ts";
import type { App } from "./app.ts";
import { sleep } from "./clock.ts";
import { decode, failureOf, giveBack } from "./retry.ts";
import type { DoesOutside } from "./service.ts";

const SETTLED_AT_ONCE_MAX = 64;
/** A worker that has not settled an effect by then is taken for dead. */
const LEASE_MS = 15_000;
/** An effect is asked to end, */
const ANSWER_MS_MAX = 10_000;
/** and is given up, before its lease ends, or two workers could be at it. */
const GIVEN_UP_MS = 12_000;

/** Performs what is due of one effect. */
export function createPerformer(app: App, work: DoesOutside, count: (change: number) => void): () => Promise<boolean> {
  const settle = gather<Effected, boolean>((effected) => settleAll(app, work, effected), {
    itemsMax: SETTLED_AT_ONCE_MAX,
    atOnce: 1,
  });
  return async () => {
    count(1);
    try {
      const until = app.clock.soon(LEASE_MS);
      const rows = await leaseEffects(app.sql, app.clock.now(), until, [work.job.type], work.atOnce);
      if (rows.length > 0) await performAll(app, work, rows, settle);
      return rows.length > 0;
    } finally {
      count(-1);
    }
  };
}

/** An effect that has happened and is to be settled. */
interface Effected {
  row: JobRow;
  body: Message;
  result: unknown;
}

type Settle = (effected: Effected) => Promise<boolean>;

/** They were leased together, so they are late together. */
async function performAll(app: App, work: DoesOutside, rows: JobRow[], settle: Settle) {
  const ended = new AbortController();
  const { promise: late, reject } = Promise.withResolvers<never>();
  void sleep(GIVEN_UP_MS, ended.signal).then(() => {
    if (!ended.signal.aborted) reject(new ConnectError("no answer within its lease", Code.DeadlineExceeded));
  });
  const patience = { signal: AbortSignal.timeout(ANSWER_MS_MAX), late };
  await Promise.all(rows.map((row) => performOne(app, work, row, patience, settle))).finally(() => ended.abort());
}

interface Patience {
  /** Aborts when an effect has taken long. */
  signal: AbortSignal;
  /** Rejects when it has taken too long. */
  late: Promise<never>;
}

async function performOne(app: App, work: DoesOutside, row: JobRow, { signal, late }: Patience, settle: Settle) {
  let body: Message | undefined;
  try {
    const decoded = decode(work.job.schema, row);
    body = decoded;
    await inContextOf(decoded, () =>
      span(`effect ${row.type}`, {}, async () => {
        const attempt = { id: row.job_id, number: row.attempts, signal };
        const result = await Promise.race([work.perform(app, decoded, attempt), late]);
        if (await settle({ row, body: decoded, result }))
          app.log.info("effect.done", { type: row.type, key: row.key, attempts: row.attempts });
      }),
    );
    app.metrics.messages.inc({ service: app.service, type: row.type, outcome: "done" });
  } catch (error) {
    if (isOutage(error)) throw error;
    const failure = failureOf(error, row.attempts);
    await giveBack(app, row, failure, error, (tx) => (body ? work.fail?.(app, tx, body, failure.error) : undefined));
  }
}

/** Forgets effects and records their results in one transaction. Says of each whether it was still there: another worker may have settled it. */
async function settleAll(app: App, work: DoesOutside, effected: Effected[]): Promise<boolean[]> {
  return app.transact(async (tx) => {
    const finished = await finish(
      tx.sql,
      effected.map(({ row }) => row),
    );
    const ours = effected.filter(({ row }) => finished.has(row.job_id));
    if (ours.length > 0) await work.settle(app, tx, ours);
    return effected.map(({ row }) => finished.has(row.job_id));
  });
}
