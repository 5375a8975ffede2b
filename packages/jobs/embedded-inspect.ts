import type { Sql } from "../database/database.ts";
import { counted, type Inspection } from "../telemetry/inspection.ts";

/** Deeper than a burst leaves it for longer than a moment. */
const DEPTH_MAX = 10_000;

/** The queues in PostgreSQL; of those that work them the ones in this process, which are all that it knows of. */
export async function inspectQueued(sql: Sql, receivers: string[]): Promise<Inspection> {
  const depths = await sql<{ queue: string; depth: number }[]>`
    select queue, count(*)::int as depth from queued group by queue order by queue`;
  const names = [...new Set([...receivers, ...depths.map(({ queue }) => queue)])].sort();
  const queues = names.map((queue) => ({
    queue,
    depth: depths.find((each) => each.queue === queue)?.depth ?? 0,
    consumersHere: receivers.filter((each) => each === queue).length,
  }));
  const waiting = queues.reduce((sum, { depth }) => sum + depth, 0);
  return {
    found: `in PostgreSQL, ${counted(queues.length, "queue")}, ${counted(waiting, "job")} not taken yet`,
    figures: { adapter: "embedded", queues },
    troubles: queues.flatMap(({ queue, depth, consumersHere }) =>
      depth > DEPTH_MAX
        ? [
            {
              says: `queue ${queue}: ${depth} jobs wait, ${counted(consumersHere, "consumer")} in this process`,
              fix: "does a process of that service run? jobs.redelivering in its log says what it fails at",
            },
          ]
        : [],
    ),
  };
}
