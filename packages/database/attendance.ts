import type { Log } from "../telemetry/log.ts";
import { createBell } from "../time/bell.ts";
import { unlessLate } from "../time/wait.ts";
import { BEAT_MS } from "./campaign.ts";
import type { Database, Sql } from "./database.ts";
import { lead } from "./leader.ts";

const PREFIX = "process ";
/** A process that cannot say by then that it is there goes on without. */
const ARRIVES_MS = 5_000;

/** That this process is there, told with the leases it holds: it costs no statement of its own. */
export interface Attendance {
  /** Names under which processes were there that ended without a farewell: killed, crashed, or with their machine. */
  lost: string[];
  /** The lost ones need not be thought of any more. */
  forget(): Promise<void>;
  /** The farewell. */
  leave(): Promise<void>;
}

export async function attend(database: Database, log: Log): Promise<Attendance> {
  const lost = await lostProcesses(database.sql);
  const name = PREFIX + crypto.randomUUID();
  const bell = createBell();
  const { promise: there, resolve } = Promise.withResolvers<void>();
  const attending = lead(database, name, bell, log, async (term) => {
    resolve();
    while (term.alive()) await bell.rung(BEAT_MS);
  });
  await unlessLate(ARRIVES_MS, there);
  return {
    lost,
    forget: () => forget(database.sql, lost),
    async leave() {
      bell.close();
      await attending;
      await forget(database.sql, [name]).catch((error: unknown) =>
        log.warn("process.unforgotten", { error: String(error) }),
      );
    },
  };
}

async function lostProcesses(sql: Sql): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select name from leaders where name like ${`${PREFIX}%`} and held_until > '-infinity' and (held_until < clock_timestamp()
      or not exists (select from pg_stat_get_activity(session_pid) as a where a.backend_start is null or a.backend_start = session_start))`;
  return rows.map(({ name }) => name);
}

/** With those whose farewell came through and whose row did not go. */
async function forget(sql: Sql, names: string[]): Promise<void> {
  await sql`delete from leaders where name = any(${names}) or (name like ${`${PREFIX}%`} and held_until = '-infinity')`;
}
