import { Code, ConnectError } from "@connectrpc/connect";
import { type JobRow, renewLeases } from "../../database/jobs.ts";
import { sleep } from "../../time/wait.ts";
import type { App } from "../app.ts";
import type { Place } from "../places.ts";

/** A worker that is not heard of for so long has lost its job. All other limits follow from this one. */
export const LEASE_MS = 15_000;
/** So often in its length a lease is renewed: one renewal may fail. */
const RENEWALS = 3;

interface Held {
  row: JobRow;
  /** By a clock that goes on while the process is stopped. */
  goodUntil: number;
  lost: (why: ConnectError) => void;
}

/**
 * Keeps leased jobs for as long as somebody works on them: all that are held are renewed in one statement. `lost` is called when a job is not ours any more,
 * or may be another's before we know. The function that `hold` returns says that it was settled or given back.
 */
export function createLeases(
  app: Pick<App, "clock" | "log">,
  place: Pick<Place, "sql">,
  leaseMs = LEASE_MS,
): { hold(row: JobRow, lost: (why: ConnectError) => void): () => void } {
  const renewedMs = leaseMs / RENEWALS;
  const held = new Set<Held>();
  let keeping = false;

  async function keep() {
    for (keeping = true; held.size > 0; ) {
      await sleep(renewedMs);
      if (held.size > 0) await renew([...held]);
    }
    keeping = false;
  }

  async function renew(all: Held[]) {
    const askedAt = performance.now();
    const rows = all.map(({ row }) => row);
    const kept = await renewLeases(place.sql, rows, app.clock.soon(leaseMs)).catch((error: unknown) => {
      app.log.warn("lease.unrenewed", { count: rows.length, error: String(error) });
      return undefined;
    });
    for (const each of all) {
      if (kept?.has(each.row.id)) each.goodUntil = askedAt + leaseMs;
      else if (kept) lose(each, "another worker has it");
      else if (performance.now() + renewedMs > each.goodUntil) lose(each, "its lease could not be renewed");
    }
  }

  function lose({ lost }: Held, why: string) {
    lost(new ConnectError(`the job was lost: ${why}`, Code.Aborted));
  }

  return {
    hold(row, lost) {
      const own = { row, goodUntil: performance.now() + leaseMs, lost };
      held.add(own);
      if (!keeping) void keep();
      return () => held.delete(own);
    },
  };
}
