import type { Log } from "../telemetry/log.ts";
import type { Bell } from "../time/bell.ts";
import { BEAT_MS, campaignIn, type Term } from "./campaign.ts";
import type { Database, Sql } from "./database.ts";

/** A leader that fails leaves the lead to others for so long. */
const RETRY_MS = 500;

/**
 * Runs `work` while this process leads `name` in this database, which of all processes one does, by PostgreSQL's clock. One that closes its bell is followed at once,
 * one that dies within two seconds, one that freezes or loses touch within five. `work` ends soon after `term.alive()` is false; when it fails, another may lead.
 */
export async function lead(
  database: Database,
  name: string,
  bell: Bell,
  log: Log,
  work: (term: Term) => Promise<void>,
): Promise<void> {
  const campaign = campaignIn(database, log);
  while (!bell.closed()) {
    const candidate = campaign.stand(name, bell);
    let failed = false;
    try {
      while (!candidate.term && !bell.closed()) await bell.rung(BEAT_MS);
      if (candidate.term) await work(candidate.term);
    } catch (error) {
      failed = true;
      if (!bell.closed()) log.error("leader.failed", error, { name });
    } finally {
      await campaign.withdraw(candidate);
    }
    // Waiting comes after letting go: a leader that fails must leave the lead to others meanwhile.
    if (failed) await bell.rung(RETRY_MS);
  }
  await campaign.leave();
}

/** True in a statement while `term` lasts: what somebody begins who has lost the lead finds nothing and changes nothing. */
export function leads(sql: Sql, { name, holder, epoch }: Term) {
  return sql`exists (
    select from leaders where name = ${name} and holder = ${holder} and epoch = ${epoch} and held_until > clock_timestamp())`;
}
