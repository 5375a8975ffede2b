import { finish, type JobRow, leaseOutgoing, releaseOutgoing } from "../../database/jobs.ts";
import type { Jobs } from "../../jobs/jobs.ts";
import { sleep } from "../../time/wait.ts";
import type { App } from "../app.ts";
import type { Place } from "../places.ts";
import { sending } from "./message-spans.ts";

const OUTGOING_ROWS_MAX = 500;
/** Longer than a broker may take to answer. So long the jobs of a worker that died in between wait. */
const SENDING_MS = 6_000;
/** A service that could not be sent to is not tried for so long. */
const REST_MS = 2_000;

/** Sends on what belongs to other services. */
export interface Sender {
  /** False when nothing was due. */
  turn(): Promise<boolean>;
  /** Services that are left alone for a while, so that one whose queue takes nothing keeps no other waiting. */
  resting: ReadonlySet<string>;
  /** Jobs that are being sent. */
  underWay(): number;
}

/**
 * Jobs are leased, sent and then forgotten: no transaction is open, and no lock held, while a broker takes its time. What was sent and not forgotten is sent again, and
 * the receiver knows it.
 */
export function createSender(app: App, { sql }: Place, jobs: Jobs): Sender {
  const resting = new Set<string>();
  let underWay = 0;

  async function send(target: string, rows: JobRow[]) {
    try {
      await sending(app.service, rows, (sent) => jobs.send(target, sent));
    } catch (error) {
      resting.add(target);
      void sleep(REST_MS).then(() => resting.delete(target));
      app.log.error("worker.unsent", error, { target, count: rows.length });
      return releaseOutgoing(sql, rows, app.clock.now());
    }
    await finish(sql, rows);
  }

  return {
    resting,
    underWay: () => underWay,
    async turn() {
      // Counted before they are leased, so that at any moment they are seen as due or as under way.
      underWay += 1;
      try {
        const lease = { now: app.clock.now(), until: app.clock.soon(SENDING_MS) };
        const rows = await leaseOutgoing(sql, lease, [...resting], OUTGOING_ROWS_MAX);
        const groups = Map.groupBy(rows, (row) => row.target ?? "");
        await Promise.all(Array.from(groups, ([target, group]) => send(target, group)));
        return rows.length > 0;
      } finally {
        underWay -= 1;
      }
    },
  };
}
