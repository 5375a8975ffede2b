import { backoffMs } from "../../time/backoff.ts";
import { type Bell, createBell } from "../../time/bell.ts";
import type { App } from "../app.ts";

/** How often it looks without being told: another process may have enqueued something. */
const POLL_MS = 1_000;
/** What is due and was not got by this turn is another worker's: so long later it is looked for again. */
const TAKEN_MS = 20;
/** Between tries while the database is away. */
const OUTAGE = { firstMs: 200, mostMs: 2_000 };

export interface Loop {
  bell: Bell;
  running: Promise<void>;
  /** Something was enqueued for `at`, in milliseconds. */
  expect(at: number): void;
}

/** Repeats `turn` while it finds work, then sleeps until the next job is due, somebody rings, or the poll interval is over. */
export function loop(
  app: Pick<App, "clock" | "log">,
  turn: () => Promise<boolean>,
  next: () => Promise<Date | null>,
): Loop {
  const bell = createBell();
  /** The earliest that was enqueued since the last turn began, which that turn may have missed. */
  let expected = Number.POSITIVE_INFINITY;
  /** In the past while it is awake: then there is nobody to wake. */
  let asleepUntil = Number.NEGATIVE_INFINITY;

  async function run() {
    for (let failures = 0; !bell.closed(); ) {
      expected = Number.POSITIVE_INFINITY;
      try {
        const more = await turn();
        failures = 0;
        if (!more) await sleepUntilDue();
      } catch (error) {
        failures += 1;
        if (!bell.closed()) app.log.error("worker.failed", error, { failures });
        await bell.rung(backoffMs(failures, OUTAGE));
      }
    }
  }

  /** Nearly every look finds nothing: it is one statement, not a turn. */
  async function sleepUntilDue() {
    for (let rung = false; !rung; ) {
      const due = (await next())?.getTime() ?? Number.POSITIVE_INFINITY;
      const now = app.clock.now().getTime();
      if (expected <= now) return;
      // This turn did not get it, so another worker has it.
      if (due <= now) return void (await bell.rung(TAKEN_MS));
      asleepUntil = Math.min(due, expected);
      rung = await rungBefore(asleepUntil);
      asleepUntil = Number.NEGATIVE_INFINITY;
    }
  }

  /** False when it is time to look again. */
  async function rungBefore(due: number): Promise<boolean> {
    const over = new AbortController();
    // The timer is dropped when this sleep is over; else it would ring during a later one.
    const wake = () => over.signal.aborted || bell.ring();
    if (Number.isFinite(due)) void app.clock.until(new Date(due), over.signal).then(wake);
    const rung = await bell.rung(POLL_MS);
    over.abort();
    return rung;
  }

  return {
    bell,
    running: run(),
    expect(at) {
      expected = Math.min(expected, at);
      if (at < asleepUntil) bell.ring();
    },
  };
}
