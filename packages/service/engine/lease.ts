import { Code, ConnectError } from "@connectrpc/connect";
import { type JobRow, renewLeases } from "../../database/jobs.ts";
import { sleep } from "../../time/wait.ts";
import type { App } from "../app.ts";
import type { Place } from "../places.ts";

/** A worker that is not heard of for so long has lost its job. All other limits follow from this one. */
export const LEASE_MS = 15_000;
/** So often in its length a lease is renewed: one renewal may fail. */
const RENEWALS = 3;

/** A leased job that is being kept. */
export interface HeldLease {
  row: JobRow;
  /** Aborts when the job is not ours any more, or may be another's before we know. */
  lost: AbortSignal;
  /** It was settled or given back. */
  end(): void;
}

interface Held {
  row: JobRow;
  /** By a clock that goes on while the process is stopped. */
  goodUntil: number;
  lost: AbortController;
}

/** Keeps leased jobs for as long as somebody works on them: all that are held are renewed in one statement. */
export function createLeases(
  app: Pick<App, "clock" | "log">,
  place: Pick<Place, "sql">,
  leaseMs = LEASE_MS,
): { hold(row: JobRow): HeldLease } {
  const renewedMs = leaseMs / RENEWALS;
  const held = new Set<Held>();
  let idle = new AbortController();

  async function keep(none: AbortSignal) {
    for (;;) {
      await sleep(renewedMs, none);
      if (none.aborted) return;
      await renew([...held]);
    }
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
    lost.abort(new ConnectError(`the job was lost: ${why}`, Code.Aborted));
  }

  return {
    hold(row) {
      const own = { row, goodUntil: performance.now() + leaseMs, lost: new AbortController() };
      held.add(own);
      if (held.size === 1) {
        idle = new AbortController();
        void keep(idle.signal);
      }
      return {
        row,
        lost: own.lost.signal,
        end() {
          held.delete(own);
          if (held.size === 0) idle.abort();
        },
      };
    },
  };
}
