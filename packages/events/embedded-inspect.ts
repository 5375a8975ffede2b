import type { Sql } from "../database/database.ts";
import { counted, type Inspection, sized, type Trouble } from "../telemetry/inspection.ts";

interface Group {
  group: string;
  topics: string[];
  lag: number;
  /** Whole hours in which nobody read for it while others were served. */
  hoursMissing: number;
}

type GroupRow = Omit<Group, "group" | "hoursMissing"> & { consumer: string; hours_missing: number };

/** More than a restart or a deployment takes. */
const HOURS_MISSING_MAX = 1;

/** The log of facts in PostgreSQL, and where each group is in it. */
export async function inspectLog(sql: Sql): Promise<Inspection> {
  const [log] = await sql<{ bytes: bigint; oldest: Date | null }[]>`
    select pg_total_relation_size('facts') as bytes, (select appended_at from facts order by position limit 1) as oldest`;
  const rows = await sql<GroupRow[]>`
    select o.consumer, o.topics, o.hours_missing, count(f.position)::int as lag
    from fact_offsets o left join facts f
    on f.position > o.position and f.topic = any(o.topics) and (o.types = '{}' or f.type = any(o.types))
    group by o.consumer order by o.consumer`;
  const groups = rows.map(groupOf);
  const bytes = Number(log?.bytes ?? 0);
  const lag = groups.reduce((sum, each) => sum + each.lag, 0);
  return {
    found: `in PostgreSQL, ${counted(groups.length, "group")}, ${counted(lag, "fact")} not heard yet, ${sized(bytes)}`,
    figures: { adapter: "embedded", bytes, oldest: log?.oldest ?? null, groups },
    troubles: groups.flatMap(groupTroubles),
  };
}

function groupOf({ consumer, topics, lag, hours_missing }: GroupRow): Group {
  return { group: consumer, topics, lag, hoursMissing: hours_missing };
}

function groupTroubles({ group, hoursMissing, lag }: Group): Trouble[] {
  if (hoursMissing <= HOURS_MISSING_MAX) return [];
  return [
    {
      says: `group ${group}: nobody has read for it for ${hoursMissing} hours, and ${counted(lag, "fact")} wait`,
      fix: "start a process of that service; a group that is no more is forgotten after 30 days by itself",
    },
  ];
}
