import type { Sql } from "../packages/database/database.ts";
import { inspectServer, inspectSlots } from "../packages/database/inspect.ts";
import type { Replicas } from "../packages/database/replicas.ts";
import type { Parts } from "../packages/telemetry/inspection.ts";
import type { Carriers } from "./carriers.ts";

export interface StoodOn extends Carriers {
  databases: { name: string; sql: Sql }[];
  replicas: Replicas | undefined;
}

/** What the services of a process stand on, each to be asked how it is. */
export function partsOf({ databases, replicas, events, jobs, locks }: StoodOn): Parts {
  const [first] = databases;
  return {
    ...(first && {
      postgresql: () => inspectServer({ databases, replicas }),
      slots: () => inspectSlots(first.sql),
    }),
    events: events.inspect,
    jobs: jobs.inspect,
    locks: locks.inspect,
  };
}
